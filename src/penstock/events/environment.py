"""The environment that points a handler's own boto3 at the running server, so that a Lambda handler runs as it is."""

from __future__ import annotations

from collections.abc import Mapping

# Any non-empty key will do where the server asks for none; without one boto3 searches the machine, and then the network.
_PLACEHOLDER = "penstock"


def aws_environment(url: str, region: str, present: Mapping[str, str]) -> dict[str, str]:
    """What to add to the `present` environment before handlers are loaded. Keys that are there stay: the server may ask
    for them."""
    added = {
        "AWS_ENDPOINT_URL_DYNAMODB": url,
        "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": url,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if "AWS_ACCESS_KEY_ID" not in present and "AWS_PROFILE" not in present:
        added |= {"AWS_ACCESS_KEY_ID": _PLACEHOLDER, "AWS_SECRET_ACCESS_KEY": _PLACEHOLDER}
    return added
