# Regular expressions cannot be interrupted: text and pattern are measured first.
def matches($re; $flags):       bounded_by($re) | matches_unbounded($re; $flags);
def split_matches($re; $flags): bounded_by($re) | split_matches_unbounded($re; $flags);
def split_($re; $flags):        bounded_by($re) | split_unbounded($re; $flags);
