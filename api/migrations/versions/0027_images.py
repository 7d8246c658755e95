"""The registry of the pictures of seals and signatures; those that credentials have already are in it from the beginning."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

# Signatures were drawn this wide, whatever the picture.
_SIGNATURE_MM = 45.0


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "images",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("purpose", sa.String(9), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("state", sa.String(7), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("source_sha256", sa.String(64), nullable=False),
        sa.Column("width_mm", sa.Double, nullable=False),
        sa.Column("width_px", sa.Integer),
        sa.Column("height_px", sa.Integer),
        sa.Column("starts", sa.String(10)),
        sa.Column("ends", sa.String(10)),
        sa.Column("added_by", sa.String(255), nullable=False),
        sa.Column("added_at", moment, nullable=False),
        sa.Column("approved_by", sa.Text),
        sa.Column("approved_at", moment),
        sa.Column("ended_at", moment),
        sa.Column("end_reason", sa.String(200)),
        sa.PrimaryKeyConstraint("id", name="pk_images"),
    )
    op.create_index("ix_images_purpose_owner", "images", ["purpose", "owner"])
    op.create_index("ix_images_sha256", "images", ["sha256"])
    # What credentials sign with today goes on: who agreed to it then, nobody wrote down.
    op.execute(
        sa.text(
            "INSERT INTO images (purpose, owner, state, sha256, source_sha256, width_mm, added_by, added_at) "
            "SELECT CASE role WHEN 'seal' THEN 'seal' ELSE 'signature' END, CASE role WHEN 'seal' THEN agency ELSE name END, "
            "'active', image_sha256, image_sha256, COALESCE(diameter_mm, :width), 'antin', created_at "
            "FROM credentials WHERE image_sha256 IS NOT NULL ORDER BY created_at, name"
        ).bindparams(width=_SIGNATURE_MM)
    )
    # Keys that an authority elsewhere is still asked to certify bring their picture too.
    op.execute(
        sa.text(
            "INSERT INTO images (purpose, owner, state, sha256, source_sha256, width_mm, added_by, added_at) "
            "SELECT CASE role WHEN 'seal' THEN 'seal' ELSE 'signature' END, CASE role WHEN 'seal' THEN agency ELSE name END, "
            "'active', image_sha256, image_sha256, COALESCE(diameter_mm, :width), made_by, made_at FROM credential_requests "
            "WHERE image_sha256 IS NOT NULL AND answered_at IS NULL "
            "AND name NOT IN (SELECT name FROM credentials) ORDER BY made_at, name"
        ).bindparams(width=_SIGNATURE_MM)
    )


def downgrade() -> None:
    connection = op.get_bind()
    # An older release finds a picture by its credential alone, and would go on signing with one that was ended.
    newer = (
        "SELECT count(*) FROM images WHERE ended_at IS NOT NULL "
        "OR sha256 NOT IN (SELECT image_sha256 FROM credentials WHERE image_sha256 IS NOT NULL)"
    )
    if connection.scalar(sa.text(newer)):
        raise RuntimeError("there are registered pictures, which an older release cannot find or would still use")
    op.drop_table("images")
