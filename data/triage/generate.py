"""Write train.jsonl, the triage training rows, from hand-written phrasings.

    python data/triage/generate.py

A ticket is an opener, a problem, a filler, a priority cue, the reference and a closer, in varied order;
`[a|b]` in a phrasing picks one alternative. The answer follows three rules:

category    billing   money: charges, invoices, refunds, cards, discounts
            shipping  the journey of a parcel: delivery, tracking, couriers, addresses
            account   who the customer is: login, password, profile, personal data
            technical the app or the website misbehaves
            repair    a product the customer owns is broken, worn or lacks a part
priority    high   the ticket says urgent, ASAP, as soon as possible, immediately or right away
            low    the ticket says no rush, no hurry, take your time, when you have time or low priority
            normal neither; no ticket says both
reference   the one TK-##### in the ticket, copied

Every five rows hold each category once, so any prefix of the file is balanced too.
The golden tickets in golden_sets/ were written separately, by hand, and share no sentence with these.
"""

import json
import random
import re
from pathlib import Path

SEED = 20241
ROWS_PER_CATEGORY = 80
PRIORITIES = ["normal", "high", "normal", "low"]

PROBLEMS = {
    "billing": [
        "I paid for [a lamp|one jacket|my order] once, but you charged me [two times|three times|again the next day].",
        "There is a charge of [14|32|75] [pounds|dollars] on my credit card that I do not recognise.",
        "The invoice shows [the wrong company name|an old price|a total that does not add up].",
        "I returned the [blanket|jacket|rug] in [May|October] and I am still waiting for my refund.",
        "My discount code [was refused|was not applied to the total|took off only one percent].",
        "Can I get a [copy of the invoice|proper receipt|bill with our tax number] for this purchase?",
        "You [debited|billed] my card [a day after I cancelled|for something I never bought].",
        "I want to pay by [bank transfer|credit card|direct debit], how do I do that?",
        "The amount you took, [48|120|260] [euros|dollars], is higher than the price I agreed to.",
        "I was promised [10|20|25] percent off and the final bill does not show it.",
        "The monthly subscription fee [went up|doubled|was taken twice] and nobody warned me.",
        "My payment [failed|was rejected|is still pending], although there is enough money in the bank.",
        "Please refund the [deposit|rental fee|cleaning fee], you have had my money for [two months|weeks].",
        "I sent the money by bank transfer and your reminder says the bill is unpaid.",
        "Why is there a [service fee|handling fee|late payment charge] on my bill?",
        "The voucher I got from my [aunt|boss|team] was worth [25|40|100] dollars and it paid for nothing.",
        "I cancelled my plan and the yearly fee was still taken from my account at the bank.",
        "You charged the card of my [husband|mother|old employer] instead of mine.",
        "How much tax did I pay on this? The receipt does not list it.",
        "I would like to pay off the rest of my [bill|balance|instalments] in one go.",
        "The credit note you gave me is for [8|15|60] pounds too little.",
        "We are a school and need to be invoiced [at the end of the month|with a purchase order number].",
        "It was cheaper [last week|in the newsletter|in your shop], please pay back the difference in price.",
        "My bank reversed the payment and now I get letters about a debt.",
    ],
    "shipping": [
        "My [package|parcel|delivery] has not arrived, it should have been here [last week|on Monday|days ago].",
        "The tracking number [does not change|shows nothing new since Sunday|says my parcel is lost].",
        "The courier [left the box in the street|threw the parcel over the gate|never rang the bell].",
        "You are sending my order to [my old address|the wrong city|an office that is shut].",
        "Can the [parcel|delivery] be brought [to a neighbour|on another day|to my work address]?",
        "The driver says he delivered it and there is nothing [at my door|in the mailbox|in the hallway].",
        "Customs is keeping my package and asks for [papers|a declaration|the value of the goods].",
        "How long does shipping to [Ireland|Canada|Portugal|an island] take?",
        "Part of my order is missing from the box, only the [small|first|heavy] item was shipped.",
        "My order still says [preparing|not dispatched|waiting for the carrier], when will you ship it?",
        "The parcel came [soaked|crushed|open], the carrier clearly dropped it on the way.",
        "I will be [on holiday|in hospital|away] next week, please hold the delivery until I am back.",
        "The delivery van came while I was out and left [no card|a card I cannot read].",
        "Your carrier brought my parcel to a [post office|locker|kiosk] on the other side of town.",
        "I got somebody else's package, with another name on the label. Where did mine go?",
        "The estimated arrival has moved [three|four|five] times now and still no parcel.",
        "I paid for express delivery and it has been on the road for [nine|ten|twelve] days.",
        "There is a mistake in my postcode, please correct the shipping label before it leaves the warehouse.",
        "The package was returned to you because [the street was spelled wrong|nobody was home], please ship it again.",
        "Do you ship [large tents|furniture|two orders together] by freight or with a normal courier?",
        "The locker code to collect my parcel [is not accepted|never came].",
        "We have a new house number, so the driver cannot find us. How do I tell him?",
        "Could the shipment be split, so that the [chairs|boots|plates] are sent first?",
        "The tracking says delivered to a person whose name I have never heard.",
    ],
    "account": [
        "I cannot log in, my password [is not accepted|stopped working|was changed by someone].",
        "The link to reset my password [does not arrive|has run out|is for another user].",
        "Please [close|delete|remove] my account and [erase my data|everything you know about me].",
        "I need to change the [email address|phone number|last name] in my profile.",
        "My account is [locked|blocked|suspended] and I do not know why.",
        "Someone else [is using|got into|signed in to] my account [from another country|last night].",
        "I have two accounts and would like to [join them|keep only one|move everything to the newer one].",
        "I never get the security code when I sign in.",
        "My [new phone|new tablet] does not have the login codes any more, how do I sign in?",
        "The [date of birth|title|first name] in my profile is wrong and I cannot edit it.",
        "I want to sign up and it says my email is already registered.",
        "How do I turn on two-step login for my account?",
        "My [mother|father|son] forgot the username, can you tell us what it is?",
        "Please add my [wife|assistant|business partner] as a second user of our account.",
        "I registered with a typing mistake in my email address, so I can't confirm the account.",
        "I no longer have the email address I used to register, so I am shut out of my profile.",
        "My profile shows the name of a stranger. Whose account is this?",
        "I would like a copy of all the personal data stored in my account.",
        "After I changed my password I was logged out everywhere and can't get back in.",
        "Our company account still belongs to a manager who left, please transfer it to me.",
        "I think my password was stolen, I got a warning about a strange sign-in.",
        "Can I choose another username? The one I have is [silly|too long|my maiden name].",
        "A child made an account with my details, I want it removed.",
        "The activation email for my new registration [went to spam and expired|has not reached me].",
    ],
    "technical": [
        "The app [crashes|freezes|closes by itself] when I [open it|tap on the menu|turn the phone].",
        "Your website [is down|does not load|shows an error] on my [laptop|tablet|phone].",
        "I see error [403|404|502|503] when I click on [a picture|the help page|my list].",
        "The [save|send|next|back] button [does not respond|is missing|is greyed out] on the site.",
        "The search on the page is broken, it [shows the wrong results|never finishes|hangs].",
        "Since the last update the app [is very slow|does not start|looks broken].",
        "The app will not connect to my [watch|speaker|bike computer] over bluetooth.",
        "Pictures on your website [do not appear|are upside down|take a minute to load].",
        "The page is [blank|cut off|unreadable] in [Chrome|Opera|Edge|my browser].",
        "I keep getting [notifications|pop-ups] from the app though I switched them off in the settings.",
        "The upload of my [file|video|document] stops half way with an error message.",
        "The app drains the battery of my phone and makes it [hot|slow].",
        "The map in the app [is empty|points to the wrong place|does not zoom].",
        "The text in the app is [tiny|white on white|in a foreign language] and the setting does not help.",
        "The video on your site [has no sound|does not play|keeps loading].",
        "Your web form says 'invalid input' whatever I write in it.",
        "The app does not sync, my [phone|tablet] and my computer show different lists.",
        "The widget on my phone [stays empty|shows yesterday's data].",
        "There is a bug on your page, the menu [covers the text|opens and closes in a loop].",
        "The download of the [manual|app] breaks off with an unknown error.",
        "I installed the new version and now the [camera|scanner] screen in the app is black.",
        "The filter on the website resets itself each time I scroll.",
        "The website thinks I am in [Finland|Mexico|Japan] and I can't switch the language.",
        "The chat window on your site loads forever, I tried three browsers.",
    ],
    "repair": [
        "The [zipper|buckle|button] of my [jacket|bag|sleeping bag] is broken, can you fix it?",
        "My [lamp|radio|heater] [does not turn on any more|stopped working|is dead].",
        "The [handle|wheel|hinge] [came off|broke|snapped] when I used it.",
        "I need a spare [part|screw|wheel|seal] for my [bike trailer|cooler|coffee maker].",
        "Water leaks out of my [bottle|coffee maker|boat|shower bag].",
        "The seam of my [coat|tent|glove] is torn, do you offer a repair?",
        "My [heater|fan|mixer] smells burnt and makes a loud noise.",
        "The battery in my [lantern|radio|drill] does not hold a charge any more.",
        "One leg of the [table|bed|bench] is [loose|bent|cracked].",
        "The [pan|mug|plate] I own has a crack right through it.",
        "The brake of my [stroller|scooter|trailer] is worn out and needs a mechanic.",
        "There is a hole in my [air mattress|rubber boat|rain coat], can it be patched?",
        "The switch of my [torch|drill|blender] is stuck.",
        "The soles of my [shoes|boots|sandals] are coming off.",
        "The glass of my [watch|lantern|compass] is broken and I would like it replaced.",
        "My [knife|saw|axe] is blunt and the grip is loose, can your workshop look at it?",
        "The motor of the [pump|mixer|fan] turns for a second and then stops.",
        "A pole of my [tent|sunshade|flag] is bent and I need another one.",
        "Gas comes out of my [grill|burner] although it is closed.",
        "The lid of my [cooler|pot|box] no longer closes tightly.",
        "The cable of my [kettle|iron|heater] is damaged, I can see bare wire.",
        "My [chair|hammock] ripped when my [nephew|dog|brother] sat on it. Is it covered by the warranty?",
        "The strap of the [bag|camera case|helmet] is worn through, can it be sewn?",
        "The lock of my [suitcase|bike|tool box] is jammed and the key is bent.",
    ],
}

CUES = {
    "high": [
        "This is urgent.",
        "Urgent!",
        "It is really urgent.",
        "Please reply ASAP.",
        "I need this solved as soon as possible.",
        "Please act immediately.",
        "I need help right away.",
        "Please deal with it immediately.",
        "We need an answer asap!",
        "It must be sorted out right away.",
        "Someone has to look at this urgently.",
        "Please help as soon as possible.",
    ],
    "low": [
        "No rush.",
        "There is no rush.",
        "No hurry.",
        "There's no hurry at all.",
        "Take your time.",
        "Please take your time.",
        "Have a look at this when you have time.",
        "Low priority for me.",
        "It is low priority.",
        "I am in no hurry.",
        "Answer when you have time.",
        "No rush on my side.",
    ],
    "normal": [
        "",
        "",
        "",
        "",
        "Please help.",
        "What should I do?",
        "Can you check?",
        "Please let me know.",
        "That is not good enough.",
        "It is quite annoying!",
        "What happens now?",
        "Please look into it.",
    ],
}

OPENERS = [
    "",
    "",
    "",
    "",
    "",
    "",
    "Hello,",
    "Hi,",
    "Hi there!",
    "Good morning.",
    "Dear team,",
    "Hey,",
    "Good evening,",
    "Hello support,",
    "Sorry to bother you.",
    "Me again.",
    "Question:",
    "To whom it may concern,",
]
FILLERS = [
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "I noticed it this morning.",
    "It started on Tuesday.",
    "I have been a customer since 2014.",
    "I already wrote to you last week.",
    "Nobody answered the phone.",
    "My wife is not pleased.",
    "I looked in the help pages first.",
    "This is the second time.",
    "It has never happened before.",
    "I hope you can help me.",
    "I am a bit lost here.",
]
CLOSERS = [
    "",
    "",
    "",
    "",
    "",
    "",
    "Thanks.",
    "Thank you!",
    "Kind regards, Anna",
    "Cheers, Tom",
    "Best wishes, P. Novak",
    "Many thanks in advance.",
    "Regards, Mrs Hill",
    "thx",
    "Have a nice day.",
]
REFERENCE_FIRST = [
    "{ref}:",
    "{ref}.",
    "Re {ref}.",
    "Ticket {ref}.",
    "Reference {ref}.",
    "About {ref}:",
    "I am writing about {ref}.",
    "Ref {ref},",
]
REFERENCE_LATER = [
    "{ref}",
    "{ref}.",
    "({ref})",
    "My reference is {ref}.",
    "Reference: {ref}.",
    "Ref {ref}",
    "The number is {ref}.",
    "It is about {ref}.",
    "You will find it under {ref}.",
    "My order is {ref}.",
    "The ticket is {ref}.",
]


def pick(rng: random.Random, phrasing: str) -> str:
    """Replace every [a|b|c] by one of its alternatives."""
    return re.sub(r"\[([^]]+)\]", lambda match: rng.choice(match[1].split("|")), phrasing)


def write_ticket(rng: random.Random, problem: str, priority: str, reference: str) -> str:
    problem = pick(rng, problem)
    cue = rng.choice(CUES[priority])
    body = [problem, rng.choice(FILLERS), cue]
    if priority != "normal" and rng.random() < 0.3:
        body = [cue, problem]
    if rng.random() < 0.3:
        body.insert(0, rng.choice(REFERENCE_FIRST))
    else:
        body.insert(rng.randint(body.index(problem) + 1, len(body)), rng.choice(REFERENCE_LATER))
    ticket = " ".join(part for part in [rng.choice(OPENERS), *body, rng.choice(CLOSERS)] if part)
    voice = rng.random()
    if voice < 0.2:
        ticket = ticket.lower().replace("'", "")
    elif voice < 0.25:
        ticket = ticket.replace(".", "!")
    return ticket.format(ref=reference)


def rows(rng: random.Random):
    references = iter(rng.sample(range(10_000, 100_000), ROWS_PER_CATEGORY * len(PROBLEMS)))
    decks = {}
    for category, problems in PROBLEMS.items():
        rounds = -(-ROWS_PER_CATEGORY // len(problems))
        decks[category] = [problem for _ in range(rounds) for problem in rng.sample(problems, len(problems))]
    for index in range(ROWS_PER_CATEGORY):
        for shift, category in rng.sample(list(enumerate(PROBLEMS)), len(PROBLEMS)):
            priority = PRIORITIES[(index + shift) % len(PRIORITIES)]
            reference = f"TK-{next(references)}"
            ticket = write_ticket(rng, decks[category][index], priority, reference)
            answer = json.dumps({"category": category, "priority": priority, "reference": reference})
            yield {
                "messages": [
                    {"role": "user", "content": f"Classify this support ticket: {ticket}"},
                    {"role": "assistant", "content": answer},
                ]
            }


def main() -> None:
    lines = [json.dumps(row) for row in rows(random.Random(SEED))]
    Path(__file__).with_name("train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
