"""From settings to where artifacts are kept: for the server, and for commands that look at its artifacts."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from flexiroaster.artifacts.disk import DiskArtifacts
from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.config import Settings


def make_artifacts(settings: Settings) -> ArtifactStore:
    """Asks nobody yet. The client library of S3 is loaded where artifacts are kept there, and nowhere else."""
    if not settings.artifacts_in_s3:
        return DiskArtifacts(settings.artifacts_folder)
    from flexiroaster.artifacts.cache import FileCache
    from flexiroaster.artifacts.s3 import Bucket, S3Artifacts

    parts, secret = urlsplit(settings.artifacts_url), settings.s3_secret_access_key
    bucket = Bucket(
        parts.netloc,
        unquote(parts.path).strip("/"),
        endpoint=settings.s3_endpoint_url,
        public_endpoint=settings.s3_public_url,
        region=settings.s3_region,
        path_style=settings.s3_path_style,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=secret.get_secret_value() if secret else None,
        encryption=settings.s3_encryption,
        kms_key=settings.s3_kms_key,
    )
    cache = FileCache(settings.artifacts_folder, int(settings.artifacts_cache_gb * 1e9))
    return S3Artifacts(bucket, cache, links=settings.artifacts_download == "redirect")
