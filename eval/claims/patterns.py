"""How people say amounts, ratings, stock, limits, comparisons and promises: the patterns of `eval.claims`.

Written from how shops and shoppers write English, not from the service's own templates or word lists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

QUOTE = re.compile(r"“[^”]*”|(?<!\w)\"[^\"]*\"")
LISTED = re.compile(r"^\s*(?P<n>\d+)[.)]\s+")
SENTENCE_END = re.compile(r"(?<=[.!?…])[\"”)]*\s+(?=[^a-z\s]|\x00)")
N = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
WORDED: Mapping[str, int] = {
    name: number
    for number, name in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    )
}
ANY_N = rf"(?:{N}|{'|'.join(WORDED)})"
SIGN = r"(?:US|CA|A|NZ|CN)?[$€£¥₹₩]"
MONEY = re.compile(
    rf"-?{SIGN}\s?(?P<a>{N})|\b(?:USD|EUR|GBP|CHF|CAD|AUD)\s(?P<b>{N})"
    rf"|(?P<c>{N})\s?(?:€|£|(?:US )?dollars?\b|bucks\b|euros?\b|pounds\b|USD\b|EUR\b|GBP\b|CHF\b)",
    re.IGNORECASE,
)
CENTS = re.compile(rf"\b(?P<a>{ANY_N}) cents?\b", re.IGNORECASE)
BELOW = r"under|below|less than|cheaper than|within|up to|at most|no more than|maximum(?: of)?|max|beneath"
ABOVE = r"over|above|more than|at least|from|no less than|minimum(?: of)?|upwards of|starting at"
LIMIT = re.compile(rf"\b(?P<word>{BELOW}|{ABOVE})\s*(?:just |only |a budget of |your )?$", re.IGNORECASE)
STRICT = frozenset(("under", "below", "less than", "cheaper than", "beneath", "over", "above", "more than"))
LIMIT_AFTER = re.compile(r"^\s*(?:and (?:up|over|above)|or (?:more|over|above)|and more|\+)", re.IGNORECASE)
LIMIT_AFTER_BELOW = re.compile(r"^\s*(?:or (?:less|under|below)|and (?:under|below)|at most|max\b)", re.IGNORECASE)
RANGE = re.compile(r"^\s*(?:–|-|to|and)\s*$")
ROUGH = re.compile(r"\b(?:about|around|roughly|nearly|almost|approximately|close to|some|~)\s*$", re.IGNORECASE)
ROUGHLY = Decimal("0.05")
GAP_BEFORE = re.compile(
    r"\b(?:by|saves?(?: you)?|difference(?: is| of)?|costs? another|for another|gap of)\s*$", re.IGNORECASE
)
GAP_AFTER = re.compile(r"^\s*(?:cheaper|less|more|dearer|lower|higher|difference|apart|extra)\b", re.IGNORECASE)
STARS = re.compile(
    rf"(?P<a>{ANY_N})(?:\s?(?:out of|of|/)\s?(?:5|five))?[\s-]stars?\b|(?P<b>{N})\s?(?:out of|/|of)\s?(?:5|five)\b"
    rf"|\b(?:rated|rating(?: is| of)?|scores?|score of)(?: at|:)?\s(?P<c>{N})"
    r"(?:\s?(?:out of|of|/)\s?(?:5|five))?(?![\d$€£]|\s(?:ratings|reviews))",
    re.IGNORECASE,
)
AGAINST = re.compile(r"(?P<a>\d\.\d) against (?P<rest>\d\.\d(?:(?:, | and )\d\.\d)*) stars")
STARS_AFTER = re.compile(r"^\s*(?:and (?:up|above|over|higher)|or (?:more|better|higher|above)|\+)", re.IGNORECASE)
STARS_BEFORE = re.compile(r"\b(?:at least|over|above|minimum(?: of)?|more than|from)\s*$", re.IGNORECASE)
RATINGS = re.compile(
    rf"(?P<a>{ANY_N})\s+(?:(?:customer|shopper|verified|user|happy)s?\s)?(?:ratings?|reviews?|votes)\b"
    rf"|\b(?:by|from|of)\s(?P<b>{ANY_N})\s+(?:happy )?(?:customers|shoppers|people|buyers|users)\b",
    re.IGNORECASE,
)
LEFT = re.compile(rf"\b(?:only |just )?(?P<a>{ANY_N})(?: pieces?| units?)? (?:left|remaining)\b(?: in stock)?", re.I)
GONE = re.compile(r"\b(?:out of stock|sold out|not in stock|no longer available|unavailable)\b", re.IGNORECASE)
FEW = re.compile(r"\b(?:few left|limited stock|low stock|almost gone|running low|last one|last few)\b", re.IGNORECASE)
THERE = re.compile(r"\b(?:in stock|(?<!not )available(?! just now)|ready to ship)\b", re.IGNORECASE)
FEW_UNITS = 5
COUNT = re.compile(
    rf"\b(?:(?P<exactly>exactly|only) )?(?P<a>{ANY_N})\s+(?:more |other |great |good |such |of our |different )*"
    r"(?P<noun>products?|items?|options?|match(?:es)?|results?|choices|models|articles)\b",
    re.IGNORECASE,
)
HERE = re.compile(r"\b(?:here are|here is|these|following|below|shown)\b", re.IGNORECASE)
AMONG = re.compile(r"\b(?:these come first|best of them|my first picks|the first of them)\b", re.IGNORECASE)
NONE = re.compile(
    r"\b(?:nothing (?:in the shop )?fits|nothing here (?:for|says all)|there is nothing|no exact match|not quite$"
    r"|not quite \x00|no products? (?:fits?|match(?:es)?))",
    re.IGNORECASE,
)
PROMISE = re.compile(
    r"(?<![-\w])(?:free(?!-)|shipping|shipped|ships|delivery|delivered|deliver|arrives?|dispatch\w*|warrant(?:y|ies)"
    r"|guarantee\w*|refund\w*|money[- ]back|returns? policy|discount\w*|coupon\w*|promo\w*|voucher\w*"
    r"|on sale|sale price|special offer|bargain|deals?|limited[- ]time|gift[- ]wrap\w*|\d+\s?%\s?off|half price"
    r"|best price|lowest price guaranteed|price match\w*|cashback|save (?:money|up to|big)"
    r"|tomorrow|today only)(?![-\w])",
    re.IGNORECASE,
)
EXTREMES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("cheapest", re.compile(r"\b(?:cheapest|costs? (?:the )?least|least expensive|lowest[- ]priced?|lowest price|most"
                            r" affordable|costs the least)\b", re.I)),
    ("dearest", re.compile(r"\b(?:most expensive|priciest|dearest|costs? (?:the )?most|highest[- ]priced?)\b", re.I)),
    ("cheaper", re.compile(r"\b(?:cheaper|less expensive|lower[- ]priced|costs less)\b", re.I)),
    ("dearer", re.compile(r"\b(?:more expensive|dearer|pricier|costs more)\b", re.I)),
    ("best", re.compile(r"\b(?:best[- ]rated|rated (?:the )?(?:best|highest)|highest[- ]rated|top[- ]rated|highest"
                        r" rating|best rating|rated higher|better rated)\b", re.I)),
    ("worst", re.compile(r"\b(?:worst[- ]rated|rated (?:the )?(?:lowest|lower|worst)|lowest[- ]rated)\b", re.I)),
    ("reviewed", re.compile(r"\bmost (?:reviewed|ratings|reviews)\b", re.I)),
    ("untold", re.compile(r"\b(?:most popular|best[- ]?sell(?:er|ers|ing)|popular|favou?rite|newest|lightest|heaviest"
                          r"|largest|smallest|biggest|latest|number one|award[- ]winning|strongest|fastest|brand new"
                          r"|warmest)\b", re.I)),
)  # fmt: skip
SAME_PRICE = re.compile(r"\b(?:both|all)\b(?: of them)? (?:cost|are)\b|\bsame price\b|\beach\b", re.IGNORECASE)
SIZE = re.compile(r"\bsizes? (?P<a>[A-Z]{1,3}\b|\d+(?:\.\d+)?\b)")
UNIT = (
    r"(?:kg|g|mg|grams?|kilograms?|kilos?|ml|cl|l|liters?|litres?|cm|mm|m|meters?|metres?|inch(?:es)?|in|ft|feet|oz"
    r"|ounces?|lbs?|pounds?|w|watts?|v|volts?|mah|hours?|hrs?|minutes?|lm|lumens|people|persons?|pages|pieces|packs?"
    r"|°c|k|tb|gb|mp|months?|years?|speeds?|colors?)"
)
QUANTITY = re.compile(rf"(?<![\w.$€£])(?P<a>{N})[\s-]?(?P<u>{UNIT})\b", re.IGNORECASE)
SHORT_UNITS = {
    "gram": "g", "kilogram": "kg", "kilo": "kg", "liter": "l", "litre": "l", "meter": "m", "metre": "m", "watt": "w",
    "volt": "v", "lumen": "lm", "person": "people", "hour": "h", "hr": "h",
}  # fmt: skip
NEGATED = re.compile(r"(?:\b(?:not|no|without|non|free of|isn't|never)[\s-]+(?:any |a |made of )?)$", re.IGNORECASE)
SOUGHT = re.compile(r"\b(?:looking for|asked for|search(?:ed)? for|wanted|want)\b[^.,;:]*$", re.IGNORECASE)
IS_A = re.compile(
    r"\b(?:is|are|as|makes) (?:an?|the) (?P<a>(?:[\w'-]+ ){0,5}?[\w'-]+)(?= (?:for|that|to|with|at|in)\b|[.,!;]|$)"
)
UNKNOWN_FACT = re.compile(r"do(?:es)? not know (?:the |its )?(?P<a>[\w ,]+?)(?=: the shop|[.;]|$)", re.IGNORECASE)
ROW = re.compile(r"(?P<name>[A-Za-z][\w ]*?): (?P<value>[^;]+)")
SHARED = re.compile(r"^(?:Both|All) share: (?P<rest>.+?)\.?$")
DONE = re.compile(r"\bBecause you (?P<verb>\w+)", re.IGNORECASE)
BEFORE = re.compile(r"\byou (?:chose|bought|had|viewed|liked) (?:this|it) before\b", re.IGNORECASE)
VERBS: Mapping[str, tuple[str, ...]] = {
    "bought": ("purchase",),
    "ordered": ("purchase",),
    "put": ("add_to_cart",),
    "saved": ("add_to_wishlist",),
}
"""Any deed shows the others ("viewed")."""
DRAWN = re.compile(
    r"\b(?:You seem drawn to|your interest in|you have been looking at|look for something in|see more of)"
    r" (?P<a>[^.:?]+)"
)
COLORS = (
    "black white red blue green gray yellow orange purple pink brown beige silver gold navy teal turquoise maroon"
    " burgundy olive mint coral cream ivory charcoal chestnut terracotta copper bronze violet lilac lavender magenta"
    " cyan indigo khaki tan mustard petrol crimson scarlet chrome multicolor"
)
MATERIALS = (
    "leather cotton linen wool merino silk nylon polyester steel aluminum iron wood wooden oak walnut beech bamboo"
    " glass ceramic porcelain stoneware plastic rubber silicone suede denim canvas cork titanium copper brass marble"
    " velvet cashmere felt carbon bronze stainless pine maple teak rattan wicker latex fleece satin"
)
FEATURES = (
    "waterproof wireless rechargeable cordless foldable washable organic recycled vegan handmade insulated breathable"
    " reflective dimmable inflatable fragrance-free alcohol-free water-resistant dishwasher-safe machine-washable"
    " non-slip unisex women men kids scented unscented decaf bluetooth electric padded biodegradable hypoallergenic"
    " antibacterial quilted magnetic retractable telescopic noise-canceling quick-drying windproof fireproof"
)
COMPOUNDS = re.compile(
    "|".join(rf"\b{re.escape(each).replace('-', '[- ]')}\b" for each in FEATURES.split() if "-" in each)
)
NOT_KINDS = frozenset(
    ("comfort", "winter", "summer", "stand", "set", "light", "trail", "road", "exploration", "discovery")
)
"""Nouns of category names that say as often what a thing is for as what it is."""
AMBIGUOUS = frozenset(("down", "resin", "clay", "fabric", "foam", "can"))
"""Materials that are said of other things as often ("sit down")."""
PRONOUN = re.compile(r"\W*(?:it|its|this|that|they|for|at|rated|only|priced|with)\b", re.IGNORECASE)
"""How a sentence begins that goes on about what was spoken of."""
MATCHES = re.compile(r"\bMatches (?:\x00*,? ?)*$", re.IGNORECASE)
LIFTED = re.compile(rf", (?P<a>{ANY_N}) products? would")
TOPICS_END = re.compile(r", I would|, here is| \(")
BETWEEN = re.compile(r"\b(?:between|from)\s*(?:about )?$", re.IGNORECASE)
OF_THE_SEARCH = re.compile(r"search\b[^.]*$")
ANY_NUMBER = re.compile(rf"(?<![\w\x00])(?:{N})(?!\w)")
ASIDE = re.compile(r"\([^()]*\)")
