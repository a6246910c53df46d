# ruff: noqa: E501 — tables stay whole
"""What the generated studies are about: tumours with subtypes, driver genes, spectra, drugs.

Frequencies, survival and spectra are in the range of published cohorts, rounded; they make the
tables plausible and carry no claim. Gene symbols are HGNC's; places on chromosomes are not.
"""

from __future__ import annotations

from dataclasses import dataclass

# gene, chromosome, length of the protein (residues, rounded)
GENES: tuple[tuple[str, str, int], ...] = (
    ("ALK", "2", 1620), ("APC", "5", 2843), ("AR", "X", 920), ("ARID1A", "1", 2285),
    ("ATM", "11", 3056), ("ATRX", "X", 2492), ("BAP1", "3", 729), ("BRAF", "7", 766),
    ("BRCA1", "17", 1863), ("BRCA2", "13", 3418), ("CCND1", "11", 295), ("CDH1", "16", 882),
    ("CDK4", "12", 303), ("CDKN2A", "9", 156), ("CREBBP", "16", 2442), ("CTNNB1", "3", 781),
    ("EGFR", "7", 1210), ("ERBB2", "17", 1255), ("ESR1", "6", 595), ("FAT1", "4", 4588),
    ("FBXW7", "4", 707), ("FGFR3", "4", 806), ("GATA3", "10", 443), ("IDH1", "2", 414),
    ("KDM6A", "X", 1401), ("KEAP1", "19", 624), ("KIT", "4", 976), ("KMT2D", "12", 5537),
    ("KRAS", "12", 189), ("MAP3K1", "5", 1512), ("MDM2", "12", 491), ("MET", "7", 1390),
    ("MYC", "8", 439), ("NF1", "17", 2839), ("NFE2L2", "2", 605), ("NOTCH1", "9", 2555),
    ("NRAS", "1", 189), ("PIK3CA", "3", 1068), ("PIK3R1", "5", 724), ("POLE", "12", 2286),
    ("PTEN", "10", 403), ("RB1", "13", 928), ("RET", "10", 1114), ("RNF43", "17", 783),
    ("SETD2", "3", 2564), ("SMAD4", "18", 552), ("SMARCA4", "19", 1647), ("STK11", "19", 433),
    ("TERT", "5", 1132), ("TET2", "4", 2002), ("TP53", "17", 393), ("VHL", "3", 213),
)  # fmt: skip
GENE_SETS: dict[str, tuple[str, ...]] = {
    "RTK_RAS": ("EGFR", "ERBB2", "FGFR3", "MET", "ALK", "RET", "KIT", "KRAS", "NRAS", "BRAF", "NF1"),
    "PI3K": ("PIK3CA", "PIK3R1", "PTEN", "STK11"),
    "CELL_CYCLE": ("RB1", "CDKN2A", "CDK4", "CCND1", "MDM2", "MYC"),
    "P53": ("TP53", "MDM2", "ATM"),
    "WNT": ("APC", "CTNNB1", "RNF43", "FBXW7"),
    "CHROMATIN": ("ARID1A", "ATRX", "BAP1", "CREBBP", "KDM6A", "KMT2D", "SETD2", "SMARCA4", "TET2"),
    "DNA_REPAIR": ("ATM", "BRCA1", "BRCA2", "POLE"),
    "NRF2": ("KEAP1", "NFE2L2"),
    "NOTCH": ("NOTCH1", "FBXW7", "CREBBP"),
}  # fmt: skip
SUBSTITUTIONS = ("C>A", "C>G", "C>T", "T>A", "T>C", "T>G")


@dataclass(frozen=True, slots=True)
class Tumour:
    """A kind of tumour.

    Args:
        drivers: gene → share of patients with it mutated, in the subtype where it is usual.
        spectrum: shares of the six classes of substitution.
        burden: median of coding mutations per Mb.
        months: median survival of the best subtype.
    """

    code: str
    name: str
    subtypes: tuple[str, ...]
    drivers: dict[str, float]
    amplified: tuple[str, ...]
    spectrum: tuple[float, ...]
    burden: float
    months: float
    drugs: tuple[str, ...]


TUMOURS = (
    Tumour(
        "BRCA", "breast carcinoma", ("Luminal A", "Luminal B", "HER2", "Basal"),
        {"PIK3CA": 0.45, "TP53": 0.7, "GATA3": 0.2, "CDH1": 0.18, "MAP3K1": 0.15, "PTEN": 0.08,
         "ESR1": 0.1, "BRCA1": 0.08, "KMT2D": 0.1}, ("ERBB2", "MYC", "CCND1"),
        (0.12, 0.16, 0.44, 0.09, 0.13, 0.06), 2.0, 110,
        ("Letrozole", "Paclitaxel", "Trastuzumab", "Palbociclib", "Doxorubicin"),
    ),
    Tumour(
        "LUAD", "lung adenocarcinoma", ("TRU", "PP", "PI"),
        {"EGFR": 0.35, "KRAS": 0.4, "TP53": 0.6, "STK11": 0.25, "KEAP1": 0.25, "NF1": 0.15,
         "BRAF": 0.08, "SMARCA4": 0.12, "MET": 0.06}, ("EGFR", "MYC", "MET", "CDK4"),
        (0.38, 0.14, 0.27, 0.08, 0.09, 0.04), 7.0, 48,
        ("Osimertinib", "Pembrolizumab", "Cisplatin", "Pemetrexed", "Crizotinib"),
    ),
    Tumour(
        "COAD", "colorectal adenocarcinoma", ("CMS1", "CMS2", "CMS3", "CMS4"),
        {"APC": 0.8, "TP53": 0.65, "KRAS": 0.5, "PIK3CA": 0.25, "SMAD4": 0.18, "FBXW7": 0.16,
         "BRAF": 0.4, "RNF43": 0.3, "ARID1A": 0.2}, ("MYC", "ERBB2"),
        (0.15, 0.05, 0.6, 0.04, 0.13, 0.03), 5.0, 80,
        ("Fluorouracil", "Oxaliplatin", "Irinotecan", "Bevacizumab", "Cetuximab"),
    ),
    Tumour(
        "SKCM", "cutaneous melanoma", ("BRAF mutant", "NRAS mutant", "NF1 mutant", "Triple wild"),
        {"BRAF": 0.85, "NRAS": 0.8, "NF1": 0.6, "TP53": 0.18, "CDKN2A": 0.3, "PTEN": 0.12,
         "TERT": 0.25, "KIT": 0.12, "ARID1A": 0.14}, ("CCND1", "MDM2", "KIT"),
        (0.04, 0.03, 0.82, 0.04, 0.05, 0.02), 14.0, 60,
        ("Nivolumab", "Ipilimumab", "Dabrafenib", "Trametinib", "Dacarbazine"),
    ),
    Tumour(
        "GLIOMA", "diffuse glioma", ("IDH codeleted", "IDH intact", "IDH wild type"),
        {"IDH1": 0.9, "TP53": 0.7, "ATRX": 0.65, "PTEN": 0.35, "EGFR": 0.3, "NF1": 0.15,
         "TERT": 0.7, "PIK3CA": 0.1, "RB1": 0.1}, ("EGFR", "CDK4", "MDM2"),
        (0.1, 0.07, 0.6, 0.06, 0.12, 0.05), 1.5, 70,
        ("Temozolomide", "Lomustine", "Bevacizumab", "Carboplatin"),
    ),
    Tumour(
        "UCEC", "endometrial carcinoma", ("POLE", "MSI", "Copy number low", "Copy number high"),
        {"PTEN": 0.75, "PIK3CA": 0.5, "TP53": 0.85, "CTNNB1": 0.4, "ARID1A": 0.45, "KRAS": 0.25,
         "POLE": 0.8, "PIK3R1": 0.35, "FBXW7": 0.18}, ("MYC", "ERBB2"),
        (0.2, 0.03, 0.58, 0.04, 0.12, 0.03), 9.0, 100,
        ("Carboplatin", "Paclitaxel", "Pembrolizumab", "Megestrol"),
    ),
    Tumour(
        "BLCA", "bladder urothelial carcinoma", ("Luminal papillary", "Luminal", "Basal squamous"),
        {"TP53": 0.5, "FGFR3": 0.4, "KDM6A": 0.3, "ARID1A": 0.25, "KMT2D": 0.28, "RB1": 0.2,
         "PIK3CA": 0.22, "TERT": 0.65, "NFE2L2": 0.12}, ("CCND1", "ERBB2", "MDM2"),
        (0.1, 0.25, 0.5, 0.05, 0.07, 0.03), 7.5, 35,
        ("Cisplatin", "Gemcitabine", "Pembrolizumab", "Erdafitinib"),
    ),
    Tumour(
        "PAAD", "pancreatic adenocarcinoma", ("Classical", "Basal-like", "Exocrine"),
        {"KRAS": 0.92, "TP53": 0.7, "SMAD4": 0.3, "CDKN2A": 0.3, "ARID1A": 0.1, "RNF43": 0.08,
         "BRCA2": 0.06, "ATM": 0.06, "STK11": 0.05}, ("MYC", "CCND1"),
        (0.13, 0.08, 0.55, 0.06, 0.13, 0.05), 2.5, 20,
        ("Gemcitabine", "Oxaliplatin", "Irinotecan", "Nab-paclitaxel", "Olaparib"),
    ),
)  # fmt: skip
PLACES = (
    "Aldermoor", "Brackwater", "Calder", "Dunmere", "Eastholm", "Farrow", "Glenmoor", "Harwick",
    "Inverlee", "Kestrel", "Larkfield", "Merrow", "Northam", "Oakhaven", "Penrith", "Quarry",
    "Redmoor", "Stowe", "Thornby", "Underhill", "Vale", "Westmere", "Yarrow",
)  # fmt: skip
