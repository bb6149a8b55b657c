"""Tell the addresses of object stores, such as s3://bucket/log/, from paths of this machine."""

import re
from pathlib import Path

from gru4rec.errors import Gru4RecError

STORES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss")
"""What the addresses begin with at which click logs are read."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(//?)")
_NAMED = (*STORES, "hdfs")

_SECRET = ("Forbidden", "Unauthorized", "AuthenticationFailed")
_SECRET_CODE = re.compile(r"(?<![\d.:/])40[13](?![\d.])")  # of an answer, not of a port or a time
_NO_CREDENTIALS = (
    "/latest/api/token", "/latest/meta-data", "token request", "must be specified", "credential",
    "Credential",
)  # fmt: skip
_KEYS = (
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, or "
    "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
)


def address_of(path: object) -> str | None:
    """Return the address that a path is; None for a path of this machine.

    `Path("s3://bucket/log")`, of which pathlib makes s3:/bucket/log, is that address too, unless
    something stands there.
    """
    text = str(path)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return None
    if scheme[2] == "//":
        return text
    if not isinstance(path, Path) or scheme[1] not in _NAMED or path.exists():
        return None
    return f"{scheme[1]}://{text[scheme.end() :]}"


def refuse_address(path: object, error: type[Gru4RecError], *, writes: bool = False) -> None:
    """Raise `error` if a path is an address, where a file or folder of this machine is needed."""
    address = address_of(path)
    if address is not None and writes:
        raise error(
            f"cannot write {address}: files are written on this machine; write to a local path "
            "and upload it, or mount the store"
        )
    if address is not None:
        raise error(
            f"cannot read {address}: only click logs and tables are read from a store; download "
            "it and give the local path, or mount the store"
        )


def trouble_with(error: BaseException) -> str | None:
    """Say in a few words what an error of an object store means; None if it is no such error.

    Nothing is quoted of what the store sent: a request may have secrets in it.
    """
    said = str(error)
    if not said.startswith(("object-store error", "error sending request")):
        return None
    if "NoSuchBucket" in said or "ContainerNotFound" in said:
        return "there is no such bucket"
    if isinstance(error, FileNotFoundError):
        return "there is no such object"
    if any(sign in said for sign in _NO_CREDENTIALS):
        return f"no credentials were found; set {_KEYS}"
    if isinstance(error, ConnectionError | TimeoutError) or "error sending request" in said:
        return (
            "the store cannot be reached; check the network, and AWS_ENDPOINT_URL or the like if "
            "it is set"
        )
    is_refused = any(sign in said for sign in _SECRET) or _SECRET_CODE.search(said)
    if isinstance(error, PermissionError) or is_refused:
        return "the store refuses access; check the credentials, and what they allow"
    return "the store answers with an error; check the address, its region and the settings"
