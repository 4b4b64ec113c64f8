"""Reads every Presentation 3.0 document in a folder with iiif-prezi3, and against the public schema where it is at hand.

Usage: documents.py FOLDER [SCHEMA.json]
"""

import json
import sys
from pathlib import Path

import iiif_prezi3
import jsonschema

CONTEXT = "http://iiif.io/api/presentation/3/context.json"


def documents(folder):
    for path in sorted(Path(folder).glob("*.json")):
        document = json.loads(path.read_text())
        context = document.get("@context")
        if CONTEXT in (context if isinstance(context, list) else [context]):
            yield path, document


def main(folder, schema=None):
    validator = jsonschema.Draft7Validator(json.loads(Path(schema).read_text())) if schema else None
    read = faults = 0
    for path, document in documents(folder):
        read += 1
        try:
            getattr(iiif_prezi3, document["type"]).model_validate(document)
        except Exception as error:
            faults += 1
            print(f"  {path.name}: iiif-prezi3: {error}")
        # The schema knows documents that stand alone: manifests, collections, annotation pages.
        if validator and document["type"] in ("Manifest", "Collection", "AnnotationPage"):
            for error in validator.iter_errors(document):
                faults += 1
                print(f"  {path.name}: schema: {error.json_path}: {error.message[:200]}")
    print(f"  iiif-prezi3{' and the schema' if validator else ''}: {read} documents read, {faults} faults")
    return 1 if faults or not read else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
