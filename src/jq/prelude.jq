# What jq has and jaq keeps with its own value type.
def transpose: [range([.[] | length] | max) as $i | [.[][$i]]];
def in(xs):     . as $x | xs | has($x);
def inside(xs): . as $x | xs | contains($x);
def index($i):  indices($i)[0];
def rindex($i): indices($i)[-1];
def @json: tojson;

# Whether the input is one of the outputs of s.
def IN(s): . as $x | any(s; . == $x);

# null, one value or a list: always a list.
def as_list: if . == null then [] elif isarray then . else [.] end;

# The first value that is neither null nor false.
def first_of(a; b):          first(a // b);
def first_of(a; b; c):       first(a // b // c);
def first_of(a; b; c; d):    first(a // b // c // d);
def first_of(a; b; c; d; e): first(a // b // c // d // e);

# A list of objects with texts in many languages: an object of lists under language tags.
# No language is "none"; an underscore in a tag is a hyphen (`en_US`); empty texts are left out.
def langmap(text; lang):
  reduce as_list[] as $x ({};
    [$x | text | as_list[] | select(. != null and . != "") | tostring] as $texts
    | if $texts == [] then . else .[first(($x | lang), null) | language_tag] += $texts end);

# 1 to n; no page count at all makes no pages.
def pages(n): first(n) | page_numbers;
