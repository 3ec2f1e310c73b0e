"""What shoppers say in a conversation, as patterns: pointing, comparing, turning a request, taking a limit back.

English only, for text in lower case. Data without behaviour: what a match means is decided in `app.agent.dialogue`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

PLACES = ("first", "second", "third", "fourth", "fifth", "sixth")
ORDINALS: Mapping[str, int] = {
    word: place
    for place, words in enumerate(
        (
            ("1st", "one", "1"),
            ("2nd", "two", "2"),
            ("3rd", "three", "3"),
            ("4th", "four", "4"),
            ("5th", "five", "5"),
            ("6th", "six", "6"),
        )
    )
    for word in (PLACES[place], *words)
}
PLACE = "(" + "|".join((*PLACES, "1st", "2nd", "3rd", "4th", "5th", "6th", "last")) + ")"
NOT_A_PLACE = (
    "time|times|aid|edition|gen|generation|hand|party|class|minute|skin|year|month|week|night|day|season|birthday|name"
    "|half|quarter|floor|person|degree|grade|world|communion|step|thing|but not|resort"
)
"""After "first" or "last" they make it something else: "first aid kit", "second hand", "last but not least"."""
POINTED = "ones?|options?|items?|products?|results?|picks?|choices?"
COUNT = "(one|two|three|four|five|six|[1-6])"
AND = r"\s*(?:and|&|,|vs\.?|with|to|or)\s*"


def _said(*phrases: str) -> re.Pattern[str]:
    """Any of these phrases (regular expressions), as whole words."""
    return re.compile(rf"\b(?:{'|'.join(phrases)})(?!\w)")


def _begins(*phrases: str) -> re.Pattern[str]:
    return re.compile(rf"^(?:{'|'.join(phrases)})(?!\w)")


BY_PLACE = re.compile(
    rf"\b(?:the|to|like|about|than|number) {PLACE}\b(?! (?:{NOT_A_PLACE})\b)"
    rf"|\b{PLACE} (?:{POINTED})\b|^{PLACE}(?: please)?[\s.!?]*$"
)
BARE_PLACE = _said(PLACE + rf"(?! (?:{NOT_A_PLACE})\b)")
"""Where a comparison is asked for: "compare first and third"."""
BARE_NUMBER = re.compile(r"\b([1-6])\b(?!\s*(?:stars?|%|[.,]\d))")
BY_NUMBER = re.compile(rf"(?:#\s*|\bnumbers? |\bno\.? |\boptions? ){COUNT}\b(?:{AND}{COUNT}\b)?")
FIRST_FEW = _said("(?:first|top) (two|three|2|3)")
THESE = _said("them", "these", "those", "both", "all of (?:them|these)")
IT = _said("it", "its", "this", "that", "this one", "that one")

GREETING = re.compile(
    r"^(?:hi|hello|hey|good (?:morning|afternoon|evening|day)|greetings|howdy)[\s!.,]*(?:there|all)?[\s!.?]*$"
)
THANKS = re.compile(
    r"^(?:(?:ok(?:ay)?|great|perfect|cool|nice|lovely|awesome|no|that(?:'s| is| will be) \w+)[\s,!.]+)*"
    r"(?:thanks?|thank you|thx|cheers|bye|goodbye)\b"
)
NODDED = re.compile(r"^(?:ok(?:ay)?|great|perfect|cool|nice|lovely|no|nope|yes|yep|that(?:'s| is) all)[\s.!]*$")
_THANKED = """
thanks thank thx bye goodbye much lot help again all so have day evening night later see will think that's
"""
THANKED = frozenset(_THANKED.split())
"""What thanks may consist of; with anything else in it, the message asks for something."""
_FILLER = """
a an the this that these those it its one ones some any other of for from to in on with and or but so than as is are
there was be i i'd i'm me my we us you your do does did can could would will should please just very what what's
which something anything things stuff show give get find tell know see have got need want looking look like recommend
recommended suggest buy ideas good great nice cool new popular trending today now right first second third fourth
fifth sixth last 1st 2nd 3rd option number too bit little much lot even not product products options item items
really maybe perhaps think about else at all no yes ok okay hmm
"""
FILLER = frozenset(_FILLER.split())
"""Words that name no product and no property."""
HELP = _said(
    "what can you (?:do(?! with)|help)", "who are you", "what are you", "how (?:do|does) (?:this|you) work", "^help$"
)
WHAT = "what (?:i(?:'m looking for| want| need)|to (?:buy|get|look for))"
RECOMMEND = _said(
    "recommend(?:ations?|ed)?",
    "suggest(?:ions?)?",
    "something for me",
    "surprise me",
    "inspire me",
    "what (?:would|might|could) (?:i like|suit me|be good for me)",
    "(?:some|any)thing (?:that |which )?(?:i|you think i) (?:might|may|could|would|will)(?: also)? (?:like|love|enjoy)",
    "what should i (?:look at|try|see|buy|get)(?: (?:next|now|today))?",
    "what(?:'s| is) (?:new|popular|trending)",
    "any ideas",
    rf"(?:i (?:really )?)?(?:do not|don't) (?:really )?know {WHAT}",
    rf"(?:i have )?no idea {WHAT}",
    rf"(?:i'm |i am )?not sure {WHAT}",
    "(?:i'm |i am )?just (?:looking|browsing)(?: around)?",
)
ANYTHING_GOES = re.compile(
    r"^(?:anything(?: (?:is fine|goes|will do))?|any(?: (?:one|of (?:them|these|those)))?|whatever|either"
    r"|(?:i have )?no (?:idea|preference)|(?:i )?(?:do not|don't) (?:mind|care|know)|(?:i'm |i am )?not sure"
    r"|(?:it )?(?:does not|doesn't) matter|all of (?:them|these|those)|surprise me|you choose)[\s.!]*$"
)
"""An answer to a question of the shop's own that chooses nothing."""
SIMILAR = _said(
    "similar",
    r"(?<!\bi )(?<!would )(?<!'d )like (?:it|this|that|the|number)",
    "like #",
    "alternatives?",
    "same (?:kind|style)",
    "more like",
)
COMPLEMENT = _said(
    "goes? (?:well )?with",
    "go(?:es)? together",
    "match(?:es)? (?:it|this|that|the)",
    "accessor(?:y|ies) for (?:it|this|that|the)",
    "what else (?:do|would|will) i need",
    "pairs? with",
    "(?:buy|get|use|wear|need) with (?:it|this|that|the)",
)
COMPARE = _said("compare", "difference", "differ", "versus", "vs", "which (?:one )?is (?:better|best|cheaper|lighter)")
MORE = re.compile(
    r"^(?:(?:(?:show|give)(?: me)?|do you have|have you got|are there) )?(?:(?:some|any|a few|the) )?"
    r"(?:more|others?|other (?:options|ones)|something else|anything else|what else(?: do you have)?|rest|next|else)"
    r"(?: (?:please|options|results|ones|products|of (?:these|those|them)|like (?:these|those|them)))*[\s.!?]*$"
)
CHEAPER = _said(
    "cheaper",
    "less expensive",
    "lower price",
    "more affordable",
    "too (?:expensive|pricey)",
    "too much(?! \\w)",
    "lower budget",
)
DEARER = _said(
    "more expensive", "pricier", "higher[- ]end", "more premium", "better quality", "fancier", "more upscale"
)
PRICED = re.compile(
    r"[$€£¥]\s?\d|\b(?:under|over|below|above|less than|more than|up to|max(?:imum)?|at most|at least|between|around)"
    r" \d|\b\d+(?:[.,]\d+)?\s?(?:dollars?|euros?|pounds?|bucks|usd|eur|gbp)\b"
)
"""Names a price of its own, which takes the place of every earlier one."""
DETAILS = _said(
    "what(?:'s| is) the (?:price|size|weight|capacity|colou?r|material|rating)",
    rf"(?:is|are|does|do|has|have|can|how (?:big|heavy|many|long|large) (?:is|are)) (?:it|this|that|they|the {PLACE})",
)
ABOUT = _said(
    "(?:tell me )?more about",
    "tell me about",
    "more (?:info|details|information)",
    "details",
    "how much(?: (?:is|does|are))?",
)
"""Asks for details too, but of what it names: "tell me about tents" is a search."""
REFINES = re.compile(
    r"^(?:(?:and|but|ok(?:ay)?|no|yes|hmm),? )*"
    r"(?:in|but|only|without|not|no(?!,)(?! i\b)|make it|under|over|below|above|for|by|from|rather|instead|preferably"
    r"|with(?! (?:it|them)\b)|any (?:in|under|with|without|from|by|colou?r|size|brand|price)"
    r"|(?:just|also) (?:in|the|those|these|under|over|with|without|from|by)"
    r"|(?:something|anything|ones?) (?:in|under|over|below|above|with|without|from|by|\w+er\b)"
    r"|ones? (?:for|that)"
    r"|(?:do you have|have you got|is there|are there|show me|show|have|i want|i need|i'd like)"
    r" (?:it|this|that|them|these|those|one|ones|any|something|anything) (?:in|under|with|without|from|by))\b"
)
ANY = re.compile(r"^(?:in )?any (price|brand|rating|stars|colou?r|size|material|category|gender)(?: is fine)?[\s.!]*$")
NO_MATTER = re.compile(
    r"^(?:the )?(price|budget|brand|rating|colou?r|size|material|category|gender)"
    r" (?:does ?n[o']t|does not) matter[\s.!]*$"
)
IS_FINE = re.compile(
    r"^(?!(?:that|this|it|which|what|price) )(\w[\w -]{0,40}?) (?:is|are|would be) (?:fine|ok|okay|alright)[\s.!]*$"
)
ALSO_SOLD_OUT = _said("also what is out of stock", "out of stock (?:is|are) (?:fine|ok|okay)")
WRAPPING = re.compile(
    r"^\W*(?:(?:and|but)\b\W*)+|\b(?:show(?: me)?|only|just|make it|it|them|ones?|what about|how about|do you have|any"
    r"|i want|please)\b",
    re.IGNORECASE,
)
"""What a refinement says besides what it adds."""
PRONOUN = re.compile(rf"\b(?!(?:this|that|the|which|{PLACE[1:-1]}) )[\w-]+ ones?\b")
""" "red ones", "a bigger one": the thing itself was named before."""
LINKS = re.compile(rf"\b(?:in|with|without|but|for|from|by)\b|{PRONOUN.pattern}")
ASKS_AFTER = re.compile(r"^(?:(?:and|but|ok(?:ay)?|no|hmm),? )*(?:what|how) about (.+?)[\s.!?]*$")
NAMES_A_THING = re.compile(r"^(?:a|an|some) |[^s]s$")
"""An article or a plural after "what about": something else is wanted, not another kind of the same."""
OFF_TOPIC = _said(
    "(?:what(?:'s| is| will)|how(?:'s| is)) the weather",
    "weather (?:forecast|today|tomorrow|like)",
    "will it (?:rain|snow)",
    "capital of",
    "(?:who is|who's) the (?:president|prime minister|king|queen)",
    "write (?:me )?(?:a|an|some) (?:poem|story|essay|song|code|script|function|email)",
    "translate (?:this|that|it|the|to|into|from)",
    "(?:tell|know) (?:me )?a joke",
    "solve (?:this|the|for|my|an?)",
    "python script",
    "stock market",
    "(?:price of|invest in) bitcoin",
    "football score",
    "who (?:won|was|invented)",
    "meaning of life",
    "(?:talk about|opinion on|think about|think of) (?:politics|religion)",
    r"ignore (?:\w+ )?(?:previous|prior|above)",
    "system prompt",
    "your instructions",
    "pretend (?:to be|you)",
    "jailbreak",
    "(?:medical|legal) advice",
)
WORD = re.compile(r"[\w'-]+")
ARTICLE = re.compile(r"\b(?:the|that|this)\b")
POINTS = re.compile(
    r"\b(?:the|that|this) (?:[\w'-]+ ){1,3}ones?\b"
    r"|^(?:is|are|does|has|can|how \w+ (?:is|are|does)|what(?:'s| is) the \w+ of) (?:the|that|this)\b"
)
""" "the Fernhollow one", "is the Storm jacket warm": speaks of one of the products on the table."""
