# Writes CanonicalComposition.txt from three files of the Unicode Character Database (Debian package unicode-data, 15.0.0):
#
#   cd /usr/share/unicode
#   awk -f CanonicalComposition.awk DerivedNormalizationProps.txt UnicodeData.txt > CanonicalComposition.txt
#
# One line a character or range:
#   D 0340 0300        decomposes canonically, is never composed (Full_Composition_Exclusion)
#   C 00C0 0041 0300   decomposes canonically, is composed again by NFC
#   K 0300 0314 230    canonical combining class of a range
# Hangul syllables are left to arithmetic.

function number(hex,    i, n) {
    n = 0
    for (i = 1; i <= length(hex); i++) n = n * 16 + index("0123456789ABCDEF", substr(hex, i, 1)) - 1
    return n
}

function endRange() {
    if (class != 0) print "K " first " " last " " class
}

BEGIN {
    FS = ";"
    print "# Canonical decompositions, compositions and combining classes of Unicode 15.0.0,"
    print "# selected by CanonicalComposition.awk from UnicodeData.txt and DerivedNormalizationProps.txt."
    print "# Copyright 1991-2022 Unicode, Inc.; terms in UNICODE-LICENSE.txt."
}

/; Full_Composition_Exclusion/ {
    range = $1
    gsub(/ /, "", range)
    ends = index(range, "..")
    from = number(ends ? substr(range, 1, ends - 1) : range)
    to = number(ends ? substr(range, ends + 2) : range)
    for (c = from; c <= to; c++) excluded[c] = 1
    next
}

FILENAME ~ /UnicodeData/ {
    code = number($1)
    if ($4 != class || code != previous + 1) {
        endRange()
        first = $1
        class = $4
    }
    last = $1
    previous = code
    if ($6 != "" && $6 !~ /</) print ((code in excluded) ? "D " : "C ") $1 " " $6
}

END { endRange() }
