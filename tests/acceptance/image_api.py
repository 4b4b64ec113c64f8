"""Runs every test of the public image validator against a running gateway, for 2.0 and 3.0.

Usage: image_api.py HOST:PORT SOURCE IDENTIFIER

A test may fail only if it is named below with its reason, and then it must fail: a known fault
that vanished is worth knowing too.
"""

import json
import logging
import sys
import traceback
import urllib.request

from iiif_validator.validator import ImageAPI, TestSuite, ValidationInfo

#: Tests that cannot run under Python 3; what they ask is checked by `signatures` instead.
BROKEN = {
    "format_webp": "compares bytes with text",
    "format_jp2": "calls urllib.urlopen, which Python 3 does not have",
    "format_pdf": "calls urllib.urlopen, which Python 3 does not have",
}
#: Tests that contradict the standard or themselves.
KNOWN = {
    "2.0": BROKEN,
    "3.0": BROKEN
    | {
        "size_noup": "wants !2000,3000 refused; Image API 3.0, 4.2: as large as possible within box, image and limits",
        "size_up": "wants ^max to give 1000x1000 and ^pct:200 2000x2000; Image API 3.0, 4.2: ^max is scaled to the limit",
    },
}
#: How files of a format begin, by offset.
SIGNATURES = {
    "jpg": [(0, b"\xff\xd8\xff")],
    "png": [(0, b"\x89PNG\r\n\x1a\n")],
    "gif": [(0, b"GIF8")],
    "webp": [(0, b"RIFF"), (8, b"WEBP")],
    "tif": [(0, b"II*\0")],
    "jp2": [(4, b"jP  ")],
    "pdf": [(0, b"%PDF")],
}


def run(version, server, prefix, identifier):
    """Names of the tests that passed and reasons of those that failed."""
    passed, failed = [], {}
    for name in TestSuite(ValidationInfo()).list_tests(version):
        try:
            result = ImageAPI(identifier, server, prefix, "http", "", version, debug=False)
            TestSuite(ValidationInfo()).run_test(name, result)
            fault = result.exception
        except Exception:  # a test that crashes has not passed
            fault = traceback.format_exc(limit=1)
        if fault:
            failed[name] = str(fault)
        else:
            passed.append(name)
    return passed, failed


def declared(info):
    """Formats that an info.json of either version declares beside those of level 2."""
    options = [part for part in info.get("profile", []) if isinstance(part, dict)]
    extra = info.get("extraFormats", []) + [name for part in options for name in part.get("formats", [])]
    return {"jpg", "png"} | set(extra)


def signatures(base, size):
    """Every declared format begins as its standard says."""
    with urllib.request.urlopen(f"{base}/info.json") as answer:
        formats = declared(json.load(answer))
    for name in sorted(formats):
        with urllib.request.urlopen(f"{base}/full/{size}/0/default.{name}") as answer:
            body = answer.read()
        for offset, magic in SIGNATURES[name]:
            assert body[offset : offset + len(magic)] == magic, f"{base}: {name} begins with {body[:16]!r}"
    return sorted(formats)


def main(server, source, identifier):
    logging.disable(logging.CRITICAL)
    wrong = 0
    for version, number, size in (("2.0", 2, "full"), ("3.0", 3, "max")):
        prefix = f"iiif/{number}/image/{source}"
        passed, failed = run(version, server, prefix, identifier)
        for name, reason in failed.items():
            known = KNOWN[version].get(name)
            print(f"  {version} {name}: {'known fault of the validator: ' + known if known else 'FAILED: ' + reason}")
        unexpected = set(failed) - set(KNOWN[version])
        vanished = set(KNOWN[version]) & set(passed)
        for name in sorted(vanished):
            print(f"  {version} {name}: PASSED, although it is listed as a known fault")
        formats = signatures(f"http://{server}/{prefix}/{identifier}", size)
        print(f"  {version}: {len(passed)} passed, {len(failed)} failed of which {len(failed) - len(unexpected)} are known; "
              f"signatures right: {' '.join(formats)}")
        wrong += len(unexpected) + len(vanished)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
