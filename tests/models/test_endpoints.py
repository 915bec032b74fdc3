"""Which server a reference means, and whether golden data may go there; nothing is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import EndpointConfig, Price, parse_config
from harness.errors import ConfigError, ModelError
from harness.models.endpoints import endpoint_of, is_near
from harness.models.refs import ModelRef
from harness.models.resolution import Surroundings, resolve

SHOP = EndpointConfig(url="http://127.0.0.1:8000/v1", model="tiny", price=Price(input=1, output=2))


def meant(text: str, *, egress: tuple[str, ...] = (), known: tuple[str, ...] = ()) -> ModelRef:
    return resolve(
        text,
        Surroundings(
            root=Path.cwd(),
            lookup=lambda name: Path(name) if name in known else None,
            known=lambda: list(known),
            endpoints={"shop": SHOP},
            egress=egress,
        ),
    )


def test_a_named_endpoint_is_meant_by_its_name_with_and_without_scheme():
    assert meant("shop").digest == meant("openai:shop").digest
    assert meant("shop").label == "shop"
    assert endpoint_of(meant("shop")) == SHOP


def test_an_ad_hoc_reference_names_model_and_url():
    ref = meant("openai:org/some@v2@http://localhost:1234/v1/")
    endpoint = endpoint_of(ref)
    assert endpoint is not None
    assert (endpoint.model, ref.base, ref.engine) == ("org/some@v2", "http://localhost:1234/v1", "openai")
    assert endpoint.api_key_env is None


def test_only_openai_gets_the_openai_key():
    ref = meant("openai:m@https://api.openai.com/v1", egress=("api.openai.com",))
    endpoint = endpoint_of(ref)
    assert endpoint is not None
    assert endpoint.api_key_env == "OPENAI_API_KEY"


def test_the_digest_is_of_what_is_asked():
    one = meant("openai:m@http://127.0.0.1:1/v1")
    assert one.digest == meant("openai:m@http://127.0.0.1:1/v1/").digest
    assert one.digest != meant("openai:m@http://127.0.0.1:2/v1").digest
    assert one.digest != meant("openai:other@http://127.0.0.1:1/v1").digest


@pytest.mark.parametrize("host", ["api.example.com", "10.0.0.7", "127.0.0.1.example.com", "[2001:db8::1]"])
def test_any_other_host_is_refused_with_the_line_to_add(host):
    with pytest.raises(ModelError, match=r"Nothing was sent.*egress = \["):
        meant(f"openai:m@http://{host}/v1")


@pytest.mark.parametrize("egress", [("api.example.com",), ("*.example.com",), ("API.example.com",)])
def test_a_listed_host_is_allowed(egress):
    assert meant("openai:m@https://api.example.com/v1", egress=egress).base == "https://api.example.com/v1"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_this_machine_is_always_allowed(host):
    assert meant(f"openai:m@http://{host}:8000/v1").engine == "openai"


def test_private_addresses_are_near():
    assert is_near("192.168.1.4")
    assert not is_near("8.8.8.8")
    assert not is_near("gpu-box")


@pytest.mark.parametrize(
    "url",
    [
        "http://me:sk-hidden@127.0.0.1/v1",
        "http://127.0.0.1/v1?api_key=sk-hidden",
        "ftp://sk-hidden/v1",
        "m:sk-hidden@h",
    ],
)
def test_a_secret_in_a_url_is_refused_and_not_repeated(url):
    with pytest.raises(ModelError) as caught:
        meant(f"openai:m@{url}")
    assert "sk-hidden" not in str(caught.value)


def test_a_url_that_goes_too_far_is_told():
    with pytest.raises(ModelError, match="ends before /chat/completions"):
        meant("openai:m@http://127.0.0.1/v1/chat/completions")


def test_an_unknown_endpoint_offers_the_nearest():
    with pytest.raises(ModelError, match="did you mean 'shop'"):
        meant("openai:shpo")
    with pytest.raises(ModelError, match="Did you mean 'shop'"):
        meant("shpo")


def test_a_name_that_is_also_in_the_registry_is_refused():
    with pytest.raises(ModelError, match="both a model in the registry and an endpoint"):
        meant("shop", known=("shop",))


def test_a_misspelt_key_of_an_endpoint_names_the_nearest():
    table = {"endpoints": {"shop": {"url": "http://127.0.0.1/v1", "model": "m", "pirce": {}}}}
    with pytest.raises(ConfigError, match="did you mean 'price'"):
        parse_config(table, where="pyproject.toml")
