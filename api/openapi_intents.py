"""The part of the OpenAPI document that is about what a signature is for; the rest is openapi.py's."""

from __future__ import annotations

from api.openapi_schemas import Schema
from signer.office_policy import FORMS, INTENTS, SOURCES

INTENT: Schema = {
    "enum": list(INTENTS),
    "description": "Default: officer approve, seal issue. `income` numbers what arrived, `appendix` belongs to an "
    "issued document, `copy` is of paper or an extract, `comment` is a person's remark, `file` shows nothing.",
}
PLACEMENT_SAID = (
    "`auto`, `none`, `required`; `margin` or `margin:PAGE`, free room; `anchor:TEXT`, beside a text of the page, `anchor:TEXT#N`, "
    "beside the N-th; or `PAGE,X,Y` in points from the lower left."
)
PARTICULARS: Schema = {
    "main": {"type": "string", "description": "For `appendix`: the code of the issued document that it belongs to."},
    "form": {"enum": list(FORMS), "description": "For `copy`: its form."},
    "source": {"enum": list(SOURCES), "description": "For `copy`: of what kind the original is."},
    "comment": {"type": "string", "maxLength": 500, "description": "For `comment`: the remark, on one line."},
}
