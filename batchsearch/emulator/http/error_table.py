"""Every error that the emulator can answer: code, HTTP status, message; one row each.

Sources: the error lists of the API pages and of the vendor's API metadata (snapshot of December 2025), and
the gateway's common error codes. Spelling mistakes are the vendor's. Where operations give one code different
messages or statuses, the row holds them apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One error code as the service answers it.

    Attributes:
        code: The vendor's code.
        status: HTTP status, where the operation has no other.
        message: The message, where the operation has no other. `{}` stands for a parameter's name.
        by_operation: Status and message of the operations that differ.
    """

    code: str
    status: int
    message: str
    by_operation: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    def answer_for(self, operation: str | None) -> tuple[int, str]:
        """HTTP status and message that `operation` gives for this code."""
        return self.by_operation.get(operation or "", (self.status, self.message))


def _row(
    code: str, status: int, message: str, by_operation: Mapping[str, tuple[int, str]] | None = None
) -> ErrorRow:
    return ErrorRow(code, status, message, MappingProxyType(dict(by_operation or {})))


# The service's own codes, by name (errors of the seven documented operations, then of the others).
_SERVICE: Final = (
    _row("AccessEngineFailed", 500, "An error occurred while accessing the search engine."),
    _row("BadRequest", 400, "The request has invalid parameters."),
    _row("ConnectionDVException", 500, "Failed to obtain collection."),
    _row("Console.BadRequest", 400, "The request has invalid parameters."),
    _row(
        "Console.CallServiceError",
        500,
        "An internal service error occurred.",
        dict.fromkeys(("Detail", "IncreaseInstance", "IncreaseList"), (500, "Fail to call service.")),
    ),
    _row("Console.IncrementStatusError", 409, "Current Increment status not supported this opreate."),
    _row("Console.InstanceNotFound", 400, "The specified ImageSearch instance is not found."),
    _row("Console.InstanceStatusError", 409, "Current Instance status not supported this opreate."),
    _row("Console.InternalError", 500, "The request processing has failed due to some unknown error."),
    _row("Console.LoginError", 401, "Check login failed."),
    _row("Console.NoPermission", 403, "You are not authorized to this operation."),
    _row("Console.NoPermissionError", 403, "You are not authorized to perform this operation."),
    _row("Console.NotAllowedModifyToken", 403, "You are not allowed to modify token today."),
    _row("Console.OrderStatusError", 409, "Current Order status not supported this opreate."),
    _row("Console.PidError", 400, "The number of PID bindings of the current instance exceeds 50."),
    _row("Console.TaskAlreadyExist", 409, "A task that is in progress already exists."),
    _row(
        "DeniedRequest",
        403,
        "Your request was denied due to instance flow control.",
        # Of the other four of its kind no list has the code; they are taken to answer as Detail does.
        dict.fromkeys(
            ("Detail", "IncreaseInstance", "IncreaseList", "DumpMeta", "DumpMetaList"),
            (400, "Your request was denied due to instance flow control."),
        ),
    ),
    _row("EmptyMeta", 400, "The body content has an empty meta field."),
    _row(
        "ExtractFeatureTimeout",
        500,
        "The request was timed out while extracting features.",
        {"CompareSimilarByImage": (500, "The request timed out while extracting features.")},
    ),
    _row("IncorrectOrientation", 400, "The image contains incorrect rotation flags in the meta data."),
    _row("InstanceOverQuota", 400, "The number of items exceeds the limit."),
    _row(
        "InstanceStatusError",
        400,
        "Your instance is unavailable.",
        {"CompareSimilarByImage": (400, "The current instance status does not support this operation.")},
    ),
    _row("InternalError", 500, "An internal server error occurred."),
    _row("InternalOssError", 500, "An internal OAS error occurred."),
    _row("InternalSwiftError", 500, "An internal SWIFT error occurred."),
    _row("InternalTableStoreError", 500, "An internal Table Store error occurred."),
    _row("InvalidCategory", 400, "The specified category is invalid."),
    _row("InvalidCustomContent", 400, "The specified parameter CustomContent is not valid."),
    _row("InvalidFilterClause", 400, "The specified filtering condition is invalid."),
    _row("InvalidInstance", 400, "The specified instance name is invalid."),
    _row("InvalidInstanceName", 400, "The parameter instanceName is not specified."),
    _row("InvalidIntAttr", 400, "The specified int_attr field is invalid."),
    _row("InvalidIntAttr2", 400, "The specified parameter IntAttr2 is not valid."),
    _row("InvalidIntAttr3", 400, "The specified parameter IntAttr3 is not valid."),
    _row("InvalidIntAttr4", 400, "The specified parameter IntAttr4 is not valid."),
    _row("InvalidMetaItem", 400, "The meta field is invalid."),
    _row(
        "InvalidNumParameter",
        400,
        "The specified parameter n is invalid.",
        {
            "SearchImageByPic": (400, "The specified parameter num is invalid."),
            "SearchImageByName": (400, "The specified parameter num is invalid."),
            "SearchImageByText": (400, "The specified parameter num is invalid."),
        },
    ),
    _row(
        "InvalidPicContent",
        400,
        "The specified parameter PicContent length greater than 4 * 1024 * 1024.",
        {
            "SearchImageByName": (
                400,
                "The specified parameter PicContent length greater than 2 * 1024 * 1024.",
            ),
            "CompareSimilarByImage": (400, "The image size exceeds 4 MB."),
        },
    ),
    _row("InvalidPicList", 400, "The specified pic_list parameter is invalid."),
    _row("InvalidPicName", 400, "The specified parameter PicName is not valid."),
    _row(
        "InvalidPicUrl",
        400,
        "The search picture does not exist at the specific url.",
        {"CompareSimilarByImage": (400, "The specified parameter PicUrl is not valid.")},
    ),
    _row("InvalidPrimaryPicContent", 400, "The specified parameter PrimaryPicContent is not valid."),
    _row("InvalidProductId", 400, "The specified parameter ProductId is not valid."),
    _row(
        "InvalidRegion",
        400,
        "The specific region is illegal",
        {"AddImage": (400, "The specific region is illegal.")},
    ),
    _row("InvalidRequestId", 400, "The parameter requestId is not specified."),
    _row("InvalidRequestIdTooLarge", 400, "The parameter requestId is too large."),
    _row("InvalidSecondaryPicContent", 400, "The specified parameter SecondaryPicContent is not valid."),
    _row(
        "InvalidStartParameter",
        400,
        "The specified parameter s is inavlid.",
        {
            "SearchImageByPic": (400, "The specified parameter start is inavlid."),
            "SearchImageByName": (400, "The specified parameter start is inavlid."),
            "SearchImageByText": (400, "The specified parameter start is inavlid."),
        },
    ),
    _row("InvalidStrAttr", 400, "The specified parameter StrAttr is not valid."),
    _row("InvalidStrAttr2", 400, "The specified parameter StrAttr2 is not valid."),
    _row("InvalidStrAttr3", 400, "The specified parameter StrAttr3 is not valid."),
    _row("InvalidStrAttr4", 400, "The specified parameter StrAttr4 is not valid."),
    _row("InvalidText", 400, "The specified parameter Text is not valid."),
    _row("InvalidTextLength", 400, "Invalid text clause."),
    _row("InvalidType", 400, "The specified parameter Type is not valid."),
    _row("NeedRegisterBeforeInvoke", 400, "Register for PID before invoking the service."),
    _row("NetworkException", 500, "A network error occurred."),
    _row("NoCaretSeperator", 400, "The body content is missing the ^ separator."),
    _row("NoPermission", 403, "You are not authorized to perform this operation."),
    _row("NoPicList", 400, "The body content is missing the pic_list parameter."),
    _row("NoSpecifiedAddPic", 400, "The image to insert is not specified."),
    _row("NoSpecifiedItemId", 400, "The item_id parameter is not specified."),
    _row(
        "NoSpecifiedPic",
        400,
        "The content of an image is not specified in the HTTP POST body.",
        {
            "SearchImageByPic": (400, "he content of an image is not specified in the HTTP POST body."),
            "SearchImageByName": (400, "he content of an image is not specified in the HTTP POST body."),
            "SearchImageByText": (400, "he content of an image is not specified in the HTTP POST body."),
        },
    ),
    _row("NoSpecifiedPicContent", 400, "The parameter PicContent no specified."),
    _row("NoSpecifiedPicName", 400, "The parameter PicName no specified."),
    _row(
        "NoSpecifiedProductId",
        400,
        "The parameter ProductId no specified.",
        {"DeleteImage": (400, "You must specify ProductId.")},
    ),
    _row("NoSpecifiedSearchPic", 400, "The search image is not specified."),
    _row("OverflowMaxResultNum", 400, "The specified number of total results exceeds the maximum of 500."),
    _row(
        "OverflowMaxReturnNum",
        400,
        "The specified number of results for each request exceeds the maximum of 100.",
    ),
    _row(
        "PicNotExist",
        400,
        "The search picture does not exist.",
        {"CompareSimilarByImage": (400, "The specified image does not exist.")},
    ),
    _row(
        "PictureError",
        500,
        "[download] Img Download Failed.",
        {"CompareSimilarByImage": (400, "[download] Img Download Failed.")},
    ),
    _row("RegionError", 400, "region."),
    _row(
        "RequestTimeout",
        500,
        "\u200bThe request is timeout.",
        {"CompareSimilarByImage": (500, "The request timed out.")},
    ),
    _row(
        "SearchTimeout",
        400,
        "The request is timed out.",
        {"CompareSimilarByImage": (400, "The request timed out.")},
    ),
    _row("ServerInternalError", 500, "An internal error occurred."),
    _row(
        "TimeoutForTransferImage",
        400,
        "Timeout after 5 seconds waiting for images transfer to complete.",
        {"CompareSimilarByImage": (400, "Image transfer timed out.")},
    ),
    _row("UnknownException", 500, "An internal server error occurred."),
    _row("UnknownlException", 500, "An internal server error occurred."),
    _row(
        "UnsupportedInstanceType",
        500,
        "The instance type is not supported.",
        {"CompareSimilarByImage": (400, "The instance type is not supported.")},
    ),
    _row(
        "UnsupportedOperationType",
        500,
        "The specified action is not supported.",
        {"CompareSimilarByImage": (400, "The specified action is not supported.")},
    ),
    _row("UnsupportedPicFormat", 400, "The specified image format is invalid."),
    _row("UnsupportedPicPixels", 400, "The specified pixels is not supported."),
    _row("UnsupportedPictureFormat", 400, "The format of the specified picture is not supported."),
)

# The gateway in front of every product: common error codes. Statuses of the security token's codes are
# documented nowhere; 400 is what its other authentication errors have.
_GATEWAY: Final = (
    _row("InvalidAccessKeyId.NotFound", 404, "Specified access key is not found."),
    _row("InvalidAccessKeyId.Inactive", 400, "Specified access key is disabled."),
    _row("SignatureDoesNotMatch", 400, "Specified signature is not matched with our calculation."),
    _row("SignatureNonceUsed", 400, "Specified signature nonce was used already."),
    _row("InvalidTimeStamp.Expired", 400, "Specified time stamp or date value is expired."),
    _row("InvalidTimeStamp.Format", 400, "Specified time stamp or date value is not well formatted."),
    _row("InvalidSecurityToken.Expired", 400, "Specified SecurityToken is expired."),
    _row("InvalidSecurityToken.Malformed", 400, "Specified SecurityToken is malformed."),
    _row(
        "InvalidSecurityToken.MismatchWithAccessKey",
        400,
        "Specified SecurityToken does not match the access key.",
    ),
    _row("MissingSecurityToken", 400, "SecurityToken is mandatory for this action."),
    _row("Throttling", 400, "Request was denied due to request throttling."),
    _row("Throttling.User", 400, "Request was denied due to user flow control."),
    _row("Throttling.Api", 400, "Request was denied due to api flow control."),
    _row("Forbidden", 403, "User not authorized to operate on the specified resource."),
    _row("Forbidden.RAM", 403, "User not authorized to operate on the specified resource."),
    _row("InvalidApi.NotFound", 404, "Specified api is not found, please check your url and method."),
    _row("InvalidAction.NotFound", 404, "Specified api is not found, please check your url and method."),
    _row("InvalidVersion", 400, "Specified parameter Version is not valid."),
    _row("ServiceUnavailable", 503, "The request has failed due to a temporary failure of the server."),
)

# Documented nowhere: what the service answers to a body over 8 MB is not known.
_OWN: Final = (_row("RequestBodyTooLarge", 413, "The request body exceeds 8 MB."),)

ERRORS: Final[Mapping[str, ErrorRow]] = MappingProxyType(
    {row.code: row for row in (*_SERVICE, *_GATEWAY, *_OWN)}
)
"""Every code by name. `Missing<Parameter>` codes are made by `missing`."""


class RefusedError(Exception):
    """The request gets an error answer instead of a result.

    Attributes:
        code: A code of `ERRORS`, or `Missing<Parameter>`.
        detail: Text that the gateway appends to its message, if any.
        extra: Further fields of the body, such as `AccessDeniedDetail`.
    """

    def __init__(self, code: str, *, detail: str = "", extra: Mapping[str, object] | None = None) -> None:
        self.code = code
        self.detail = detail
        self.extra: Mapping[str, object] = extra or {}
        super().__init__(code)


def missing(parameter: str) -> RefusedError:
    """The gateway's refusal of a request without a mandatory parameter: `Missing<Parameter>`, 400."""
    return RefusedError(f"Missing{parameter}")


def answer_of(code: str, operation: str | None) -> tuple[int, str]:
    """HTTP status and message of a code, as `operation` answers it.

    A code that is in no table (a fault's own) is a 400 with a plain message.
    """
    row = ERRORS.get(code)
    if row is not None:
        return row.answer_for(operation)
    if code.startswith("Missing") and len(code) > len("Missing"):
        return 400, f"{code.removeprefix('Missing')} is mandatory for this action."
    return 400, "The request was refused."
