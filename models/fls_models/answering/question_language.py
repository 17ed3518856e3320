"""Which language a question is in, so that the answer can be asked for in the same.

Many scripts tell, and the small words of a language. Where these are too few, the language model
chooses, which takes a question about loaves for Spanish now and then.
"""

import unicodedata
from collections.abc import Sequence

from fls_models.lslm.base import Context, LanguageModel

_BY_SCRIPT = {
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "CJK": "Chinese",
    "CYRILLIC": "Russian",
    "GREEK": "Greek",
    "ARABIC": "Arabic",
    "HEBREW": "Hebrew",
    "DEVANAGARI": "Hindi",
    "THAI": "Thai",
}
# The first token of each name is no other's. Words of questions that most of them hold.
_LATIN = {
    "English": "what who whom whose which when where why how many much does did do is are was "
    "were has have had the of to in for with that this they it and about from say "
    "says said",
    "German": "was wer wem wen wessen welche welcher welches wann wo warum wie viele viel ist "
    "sind war waren hat haben der die das den dem ein eine nicht und von mit im über "
    "sagt wird werden es",
    "French": "que qu quoi qui quel quelle quels quelles quand où pourquoi comment combien est "
    "sont était étaient ont le la les des du une dans pour avec sur et il elle ce "
    "cette dit",
    "Spanish": "qué quién quiénes cuál cuáles cuándo dónde cómo cuánto cuántos cuántas es son "
    "era fue ha han el la los las del una en para con por que y se sobre dice",
    "Italian": "che cosa chi quale quali quando dove perché come quanto quanti quante è sono era "
    "ha hanno il lo la gli le dei della una nel per con di e si sulla dice",
    "Portuguese": "que quê quem qual quais quando onde quanto quantos quantas é são era foi tem "
    "têm o os as do da dos das uma em para com por e se sobre não diz",
    "Dutch": "wat wie welke wanneer waar waarom hoe veel is zijn was waren heeft hebben de het "
    "een van in voor met dat niet en over zegt wordt worden",
    "Polish": "co kto jaki jaka jakie który która które kiedy gdzie dlaczego jak ile jest są "
    "był była było ma mają nie się na w z do o i że mówi",
    "Turkish": "ne kim kimin hangi nerede nereye nasıl neden niçin kaç bir bu ve ile için mi mı "
    "mu mü var değil hakkında diyor kadar",
    "Swedish": "vad vem vilken vilket vilka varför hur många mycket är var har hade det den en "
    "ett och att för med som inte om säger av på",
    "Czech": "co kdo jaký jaká jaké který která které kdy kde proč jak kolik je jsou byl byla "
    "bylo má mají se na v z do o a že říká",
    "Vietnamese": "gì ai nào khi đâu sao thế bao nhiêu là có của và trong cho với không được những "
    "các",
}
CAPITAL_NOUNS = frozenset(("German",))
"""Languages in which every noun has a capital."""
_WORDS = {language: frozenset(words.split()) for language, words in _LATIN.items()}
# So many of a language's words are enough, and so many more than of any other.
_ENOUGH, _MORE = 2, 1
# Sentences by which a recording's language is found.
_SAMPLE = 20
# So few letters are more often a name or a word that many languages share.
_TOO_SHORT = 8


def language_of(question: str, llm: LanguageModel, nothing: Context) -> str:
    """The English name of a question's language; `nothing` is a context without a recording."""
    # Names tell nothing: who asks what happened in Spain asks in English.
    first, *rest = question.split() or [""]
    question = " ".join([first, *(word for word in rest if not word[:1].isupper())])
    letters = [letter for letter in question if letter.isalpha()]
    scripts = {unicodedata.name(letter, "").split(" ")[0].split("-")[0] for letter in letters}
    for script, language in _BY_SCRIPT.items():
        if script in scripts:
            return language
    if len(letters) < _TOO_SHORT:
        return "English"
    words = "".join(c if c.isalpha() else " " for c in question.lower()).split()
    counts = sorted(
        ((sum(word in own for word in words), language) for language, own in _WORDS.items()),
        reverse=True,
    )
    (most, language), (second, _), *_ = counts
    if most >= _ENOUGH and most - second >= _MORE:
        return language
    return llm.choose(
        nothing,
        f'\n\nIn which language is this sentence written? "{question}"\n'
        "Reply with the name of the language only.",
        tuple(_LATIN),
    )


def spoken_language(sentences: Sequence[str], llm: LanguageModel, nothing: Context) -> str:
    """The English name of the language of a recording, by its first sentences."""
    return language_of(" ".join(sentences[:_SAMPLE]), llm, nothing)
