"""The English words by which a request states its limits: lists and phrases, no logic.

Everything is lower case, with straight apostrophes and plain hyphens (`request.py` brings a request into that form).
Another language is another module of the same names.
"""

from __future__ import annotations

from typing import Final, Literal

from tasteline.types import Sort

Bound = Literal["below", "up_to", "above", "from", "around"]
"""below and above leave the amount itself out, up_to and from take it in."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# --- limits -----------------------------------------------------------------------------------------------------------

BOUNDS: Final[dict[str, Bound]] = {
    "no more than": "up_to",
    "not more than": "up_to",
    "nothing more than": "up_to",
    "nothing over": "up_to",
    "nothing above": "up_to",
    "not over": "up_to",
    "not above": "up_to",
    "up to": "up_to",
    "upto": "up_to",
    "at most": "up_to",
    "maximum of": "up_to",
    "max price of": "up_to",
    "max price": "up_to",
    "maximum price of": "up_to",
    "maximum price": "up_to",
    "price limit of": "up_to",
    "budget's": "up_to",
    "i have": "up_to",
    "i've got": "up_to",
    "maximum": "up_to",
    "max.": "up_to",
    "max of": "up_to",
    "max": "up_to",
    "within": "up_to",
    "<=": "up_to",
    "budget of": "up_to",
    "budget is": "up_to",
    "budget:": "up_to",
    "budget": "up_to",
    "limit of": "up_to",
    "can spend": "up_to",
    "less than or equal to": "up_to",
    "equal to or less than": "up_to",
    "greater than or equal to": "from",
    "less than": "below",
    "lower than": "below",
    "cheaper than": "below",
    "under": "below",
    "below": "below",
    "<": "below",
    "no less than": "from",
    "not less than": "from",
    "not under": "from",
    "not below": "from",
    "nothing under": "from",
    "nothing below": "from",
    "at least": "from",
    "minimum of": "from",
    "min price": "from",
    "minimum price": "from",
    "minimum price of": "from",
    "minimum": "from",
    "min.": "from",
    "min": "from",
    "upwards of": "from",
    "starting at": "from",
    "starting from": "from",
    "from": "from",
    ">=": "from",
    "more than": "above",
    "pricier than": "above",
    "over": "above",
    "above": "above",
    ">": "above",
    "around": "around",
    "about": "around",
    "approximately": "around",
    "approx": "around",
    "roughly": "around",
    "circa": "around",
}
"""What stands before an amount."""

BOUNDS_AFTER: Final[dict[str, Bound]] = {
    "or less": "up_to",
    "or under": "up_to",
    "or below": "up_to",
    "or cheaper": "up_to",
    "or lower": "up_to",
    "and less": "up_to",
    "and under": "up_to",
    "and below": "up_to",
    "at most": "up_to",
    "max": "up_to",
    "maximum": "up_to",
    "tops": "up_to",
    "or more": "from",
    "or over": "from",
    "or above": "from",
    "or higher": "from",
    "or up": "from",
    "and up": "from",
    "and over": "from",
    "and above": "from",
    "and more": "from",
    "at least": "from",
    "minimum": "from",
    "+": "from",
}
"""What stands after an amount."""

MONEY_BOUNDS: Final = frozenset({"i have", "i've got", "from", "within", "starting at", "starting from"})
"""Bounds that mean money only when a currency is named: "from 2019", "within 30"."""

NAME_BOUNDS: Final = frozenset({"max", "min", "max.", "min.", "maximum", "minimum"})
"""Bounds that are also parts of product names: "air max 90"."""

NAMES_BEFORE_MAX: Final = frozenset({"pro", "air", "plus", "ultra", "turbo", "promax"})
"""Before "max" they are a product's name, whether this shop sells it or not: "iphone pro max 256"."""

PRICE_LEADS: Final = _words(
    """
    that which is are be should must cost costs costing priced price prices at for range my spend pay paying
    want to i can only a of in the with it have has and but budget need around selling
    """
)
"""Words directly before a price limit that belong to it: "that costs", "for", "I want to pay"."""

PRICE_TAILS: Final = r"each|(?:in )?total|or so|tops|max|maximum|only|on|(?:price )?range|budget"

PRICE_NAMES: Final = frozenset({"price", "prices", "cost", "costs", "budget", "costing", "priced"})

AFTER_AMOUNT: Final = _words(
    """
    please for with in and or but that which from by if not without no to thanks thank online total each only
    per on at as is are so because when while made rated of i the you tops max maximum price budget around
    between over under
    """
)
"""A bare number followed by one of these is still an amount; followed by a noun it may be a count."""

PEOPLE: Final = _words(
    """
    people men women man woman kids kid children child boys girls boy girl adults adult age aged ages toddlers
    toddler babies baby infants seniors teens teenagers someone anyone person persons ladies dogs puppies cats
    """
)
"""An amount that limits one of these may be an age: "women over 50", "kids under 5"."""

ADULT_AGE: Final = 18
OLDEST_AGE: Final = 100

MEASURED: Final = _words(
    """
    size sizes age aged ages weight weighs weighing height width length depth diameter power capacity volume
    wattage voltage spf rated rating model series version gen generation no number part type class grade level
    usb wifi bluetooth
    """
)
"""A bare number after one of these is not an amount of money."""

UNITS: Final = _words(
    """
    kg kgs kilo kilos kilogram kilograms g gr gram grams mg lb lbs oz ounce ounces ton tons tonnes stone mm cm m
    km meter meters metre metres centimeter centimeters centimetre centimetres inch inches in. ft foot feet yard
    yards mile miles l liter liters litre litres ml cl gallon gallons pint pints cup cups quart quarts s sec
    secs second seconds min mins minute minutes h hr hrs hour hours day days week weeks month months year years
    yr yrs gb tb mb kb mbps gbps mp megapixel megapixels hz khz mhz ghz fps dpi rpm w watt watts kw v volt volts
    mah wh amp amps a lumen lumens lm nit nits db decibel decibels degree degrees celsius fahrenheit percent bar
    psi piece pieces pc pcs pack packs count ct person persons people man men player players seat seats seater
    user users page pages sheet sheets key keys port ports bit bits core cores thread threads channel channels
    speed speeds gear gears star stars point points star-rating calorie calories kcal cal carb carbs watt-hours
    ply tier tiers door doors drawer drawers slot slots bay bays blade blades burner burners color colors colour
    colours dozen pair pairs set sets tog denier step steps mode modes level levels button buttons wheel wheels
    stage stages round rounds word words line lines times pixel pixels x way ways foot-long pound pounds item
    items product products result results option options
    """
)
"""Words that make a number a measure or a count, not an amount of money."""

# --- stars, stock, order ----------------------------------------------------------------------------------------------

NUMBER_WORDS: Final[dict[str, int]] = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}

RATING_AT_LEAST: Final = (
    r"at least|min(?:imum)?(?: of)?|no less than|not (?:less than|below|under)|over|above|more than|better than|from"
)
RATING_OR_MORE: Final = r"(?:and|or|&) (?:up|above|higher|more|over|better)"
RATING_NOUN: Final = r"stars?(?: (?:rating|ratings|reviews?|rated))?"
RATING_SAID: Final = r"(?:rated|ratings?|reviews?|reviewed|scored?)(?: (?:of|is|are))?"

STOCK: Final = (
    r"(?<!back )(?<!not )(?<!out of )\b"
    r"(?:(?:only|currently|that (?:is|are)|which (?:is|are)|you have|you've got|items?) ){0,3}"
    r"(?:in[ -]stock|available (?:now|today|immediately|right now|right away)|immediately available)(?! ?pot)\b"
    r"(?:(?: only| now| today)\b)?"
)

SORTS: Final[tuple[tuple[str, Sort], ...]] = (
    (
        r"(?:cheapest|least expensive|lowest[ -]priced?|(?:at |for )?(?:the )?(?:lowest|best) price)(?: first)?",
        "price_asc",
    ),
    (r"(?:sort(?:ed)? )?by price|price[ :,]+low to high|low to high", "price_asc"),
    (
        r"(?:most expensive|priciest|dearest|highest[ -]priced?)(?: first)?|price[ :,]+high to low|high to low",
        "price_desc",
    ),
    (
        r"(?:best|top|highest|highly|well)[ -](?:rated|reviewed)|"
        r"(?:with )?(?:the )?(?:best|highest|top) (?:ratings?|reviews)|"
        r"(?:sort(?:ed)? )?by rating",
        "rating",
    ),
    (
        r"(?:best|top)[ -]?sell(?:ing|ers?)|(?:most |very )?popular|trending|most (?:bought|sold)|"
        r"(?:sort(?:ed)? )?by popularity",
        "popular",
    ),
)
"""Words that ask for an order. "cheap" and "budget" are not among them: they stay soft words of the query."""

# --- negation ---------------------------------------------------------------------------------------------------------

NEGATORS: Final = (
    r"(?:(?:but|and|just|definitely|please) )?"
    r"(?:(?:i |we )?(?:don't|do not|dont) (?:want|like|need)|"
    r"(?:which |that |it )?(?:doesn't|does not|don't) (?:have|contain|include)|"
    r"(?:that |which |it )?(?:is|are) not|(?:that |which |it )?(?:isn't|aren't)|(?:that's|it's) not|"
    r"anything but|anything except|everything but|all but|other than|except(?: for)?|excluding|exclude|"
    r"(?:i |we )?(?:avoid(?:ing)?|hate|dislike)|"
    r"(?:don't|do not|dont|never) (?:show|give|recommend|suggest|send)(?: (?:me|us))?|"
    r"with no|without|w/o|minus|nor|not|no|nothing)"
)
NEGATION_FILLERS: Final = _words(
    """
    a an the any in of made from with have has having contain containing being it
    """
)
"""Skipped between the negator and what it negates: "not made of leather"."""

BRAND_NEGATION_FILLERS: Final = frozenset({"by", "from", "the"})

DEGREES: Final = _words("too very so overly really that super extremely particularly all as")
"""After "not": a vague wish, never a limit ("not too big")."""

VAGUE: Final = _words(
    """
    expensive cheap fancy big small large heavy bulky loud noisy pricey costly complicated difficult hard easy
    ugly boring old new sure preference preferences idea problem worries thanks thank matter rush hurry limit
    limits need only just necessarily important bad good great much many more less long short tall wide thick
    thin one ones special particular crazy flashy overpriced tacky name nonsense frills kidding
    """
)
"""Negated, these say nothing that can be filtered on: the words are dropped."""

NO_COMPOUNDS: Final = _words(
    """
    show iron drill tears tear slip spill rinse touch pull contact sew glue knead bake wash fog tie bark cook
    fuss mess heat dig crease stick poo limit name brand logo
    """
)
"""Second halves of product words: "no-show socks", "no iron shirt"."""

LIST_WORDS: Final = frozenset({"or", "and", "nor", ",", "&"})

FREE_COMPOUNDS: Final = _words(
    """
    hands wire hassle stress duty tax care worry risk lead acid smoke maintenance drip frizz wrinkle crease noise
    tangle cruelty glare flicker rust odor odour streak splash pain guilt germ dust mess touch pet child
    """
)
"""First halves of product words in "-free", whether this shop says them or not."""

# --- brands and their neighbours --------------------------------------------------------------------------------------

BY: Final = frozenset({"by", "from", "brand", "brands"})
FITTING: Final = _words(
    """
    for fit fits fitting compatible works suits suitable replacement replaces alternative similar like than vs
    versus as
    """
)
"""A brand within `FITTING_REACH` words after one of these names what the thing goes with, not who made it."""
FITTING_REACH: Final = 3

ORDINARY: Final = _words(
    """
    always amazon anchor apple arrow art aura avalon bamboo bare basic basics beast bella bliss bloom blue
    bounty brother brown bubba burn canvas carbon cars cat champion charm chase classic clean clear cloud coach
    color converse core cosmos cotton crane crest crown dawn deer dial diamond diesel disc dove dream eagle
    earth eclipse edge elements essential essentials ever express fashion fiesta fire fiskars flash flow focus
    force fossil fox free fresh frontier gain galaxy gap gem general genesis gift global glory gold good grace
    great green guess halo happy hanes haven home honest honey hunter icon ideal igloo imagine impact infinity
    intex ivory jaguar joy jump just kid kids kind king kiss kodiak lamb lee leo life light lion live lodge logo
    look love lucky luna magic match max maverick melody method mini mission modern moon mountain natural nature
    next nice north nova off olive one orange original origins panda paper pioneer planet play
    pledge polo post power premier prime prince pro promise pure purple quest quiet radio raid rain rainbow
    raven real red ring river rock rocket rose royal safe sage scotch secret sharp shell shift shine shout silk
    silver simple sky smart snap snow soft solo sonic spark spirit sport spring sprout standard star storm
    stride summit sun super surf swan sweet target thrive tide tiger timber time titan total touch tower trek
    triumph true ultra under union united universal vans venture venus vision vista vital warm wave white wild
    wind wolf wonder zen zero zest zoom
    """
)
"""Words of everyday English that are also brands somewhere: said bare, they stay soft."""

BRAND_ATTRIBUTES: Final = frozenset(
    {"brand", "manufacturer", "maker", "supplier", "vendor", "producer", "marque", "brand name"}
)
"""Attributes that repeat the brand field: their values do not make a brand's name ambiguous."""

# --- attributes and categories ----------------------------------------------------------------------------------------

FACETS: Final[dict[str, frozenset[str]]] = {
    "color": frozenset(
        {
            "color",
            "colour",
            "colors",
            "colours",
            "product color",
            "product colour",
            "color name",
            "colour name",
            "main color",
            "main colour",
        }
    ),
    "size": frozenset({"size", "sizes", "product size", "clothing size", "shoe size"}),
    "material": frozenset({"material", "materials", "product material", "main material", "fabric"}),
    "gender": frozenset({"gender", "target gender", "audience", "for whom", "age group", "target group"}),
}
"""What an attribute is about -> names that feeds give it. Only these can be meant by a bare word."""

BARE_FACETS: Final = ("color", "material")
"""Facets whose values are read without being named; sizes need "size", "in" or a system ("42 eu")."""

VALUE_LEADS: Final = frozenset({"in", "something", "anything", "everything", "color", "colour", "or", "and"})
"""Before a value they show that it is wanted for itself, even if no kind of thing is named: "something blue"."""

SIZE_SYSTEMS: Final = frozenset({"eu", "uk", "us", "eur"})
IMITATION: Final = frozenset({"faux", "vegan", "imitation", "artificial", "fake", "synthetic", "pu", "non"})
"""Before a material they make it another one: "faux leather" is not leather."""

PEOPLE_GROUPS: Final[dict[str, frozenset[str]]] = {
    "women": frozenset({"women", "woman", "womens", "female", "ladies", "lady"}),
    "men": frozenset({"men", "man", "mens", "male", "gentlemen"}),
    "kids": frozenset({"kids", "kid", "children", "child", "childrens", "youth", "boys", "girls", "boy", "girl"}),
}
EVERYBODY: Final = frozenset({"unisex", "all", "everyone"})

CATEGORY_WORDS: Final = r"(?:category|department|section|aisle)"

MEASURES: Final[dict[str, tuple[str, float]]] = {
    "g": ("mass", 0.001), "gram": ("mass", 0.001), "grams": ("mass", 0.001), "kg": ("mass", 1.0), "kgs": ("mass", 1.0),
    "kilo": ("mass", 1.0), "kilos": ("mass", 1.0), "kilogram": ("mass", 1.0), "kilograms": ("mass", 1.0),
    "ml": ("volume", 0.001), "cl": ("volume", 0.01), "l": ("volume", 1.0), "liter": ("volume", 1.0),
    "liters": ("volume", 1.0),
    "litre": ("volume", 1.0), "litres": ("volume", 1.0),
    "mm": ("length", 0.001), "cm": ("length", 0.01), "m": ("length", 1.0),
    "inch": ("length", 0.0254), "inches": ("length", 0.0254),
    "in": ("length", 0.0254), "w": ("power", 1.0), "watt": ("power", 1.0), "watts": ("power", 1.0),
}  # fmt: skip
"""Unit -> (what it measures, how many base units one of it is)."""

MEASURE_ATTRIBUTES: Final[dict[str, frozenset[str]]] = {
    "mass": frozenset({"weight", "item weight", "product weight", "net weight"}),
    "volume": frozenset({"capacity", "volume", "fill volume"}),
    "power": frozenset({"power", "wattage"}),
}
"""Attributes that a limit may mean without naming them; a length must be named (width? height?)."""

# --- small talk -------------------------------------------------------------------------------------------------------

_SEE = r"(?:show|find|get|give|recommend|suggest|help|tell|advise|bring|offer|send)"
LEADS: Final[tuple[str, ...]] = (
    r"(?:hi|hello|hey|hiya|howdy|greetings|good (?:morning|afternoon|evening|day))(?: there| all| everyone)?",
    r"(?:please|pls|plz|thanks|thank you|ok|okay|yeah|yes|sure|excuse me|sorry)",
    rf"(?:can|could|would|will) (?:you|u)(?: please| kindly)? {_SEE}(?: (?:me|us))?"
    r"(?: (?:to find|find|with|choose|pick|about|out))?",
    r"(?:can|could|may) (?:i|we) (?:please )?(?:get|have|see|buy|find|order)",
    r"(?:i|we)(?:'m| am|'re| are)? ?(?:currently |just |really |also )?"
    r"(?:looking|searching|shopping|hunting|browsing) for",
    r"(?:i'm|i am|im|we're|we are) (?:after|interested in|in need of)",
    r"(?:i|we)(?: (?:really|just|also|would|do))? (?:need|want|wanna|require)"
    r"(?: to (?:buy|get|find|see|order|purchase))?",
    r"(?:i|we)(?:'d| would)(?: really)? (?:like|love)(?: to (?:buy|get|find|see|order|purchase|have))?",
    r"(?:do|did) (?:you|u)(?: guys)? (?:have|sell|carry|stock|offer|know)",
    r"(?:have you got|got any|you got)",
    r"(?:is|are) there",
    r"(?:looking|searching|search|shopping|shop|browsing|hunting) for",
    r"(?:what|which) (?:is|are|would be)",
    r"what's",
    r"what (?:do|have) you (?:have|got|sell)",
    r"(?:does|do) (?:it|they|this|that|these) come",
    r"(?:what|which)(?= [^.,!?]{1,80}(?:do you|would you|can you|could you|should i))",
    r"where (?:can|could|do) (?:i|we) (?:find|buy|get)",
    r"(?:show|find|get|give|bring|send|recommend|suggest)(?: (?:me|us))(?: (?:all|your))?",
    r"(?:find|recommend|suggest|buy|need|want|wanna buy|interested in)",
    r"help (?:me|us)(?: to)? (?:find|choose|pick|get)",
    r"(?:how|what) about",
    r"(?:something|anything|everything)(?: (?:for|like))?",
    r"any (?:ideas|suggestions|recommendations)(?: for)?",
    r"(?:a|an|some|any) (?:idea|suggestion|recommendation|recommendations|suggestions)s? for",
    r"(?:to|that i can) buy",
    r"me",
)
"""What a clause may begin with before it says what is wanted."""

ARTICLES: Final = r"(?:a|an|the|some|any|a few|a pair of|a good)"

TRAILS: Final = (
    r"(?:please|pls|plz|thanks|thank you|thank you very much|cheers|for me|if possible|asap|"
    r"do you (?:have|sell|recommend|suggest|carry)(?: any)?|(?:would|can|could) you (?:recommend|suggest)(?: me)?|"
    r"should i (?:buy|get)|you (?:have|sell|recommend)|have you got|to buy)"
)
"""What a request may end with after it has said what is wanted."""

BEFORE_LIMIT: Final = _words(
    """
    with and or but that which is are in at a an the of by from has have having for be being it only ideally
    preferably also not all ones one & must should can made to priced want i'd like i i'm am wear
    """
)
"""Dropped where they are left hanging before a limit that was taken out."""

AFTER_LIMIT: Final = frozenset(
    {"a", "an", "some", "and", "or", "but", "also", "plus", "then", "&", "only", "preferably", "ideally"}
)
"""Dropped where they are left hanging after one."""

STOP_WORDS: Final = _words(
    """
    a an the and or but for with in on at of to from by is are be that which this it its i me my you your some
    any not no s t as something anything please need want under over about between one
    """
)
"""Words that say nothing about what kind of thing is wanted."""
