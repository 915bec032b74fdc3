"""`python -m harness`, so that `accelerate launch -m harness train …` works."""

from harness.cli.main import main

if __name__ == "__main__":
    main()
