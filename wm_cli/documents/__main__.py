"""python -m wm_cli.documents: write the generated parts of docs/*.md; tests/contract/test_docs.py compares them."""

from wm_cli.documents.blocks import rewrite_documents

if __name__ == "__main__":
    changed = rewrite_documents()
    print("\n".join(changed) if changed else "every table was that of the code already")
