"""Everything that can go wrong and that the user can act on, each with its next step.

CfaiError
├── SetupError                  nothing was sent
│   ├── NoCredentials           no account id or no token is known
│   ├── BadOption               an option, a name or a value that does not fit
│   ├── VariableError           a {{…}} of the prompt can't be filled
│   ├── NoVision                the model does not see images
│   ├── NoTools                 the model calls no functions
│   ├── TokenOnLine             an API token was typed where the history keeps it
│   ├── NotAnAccountId          the account id is not 32 hexadecimal characters
│   ├── StoreError              something could not be kept, read or forgotten
│   ├── BudgetExceeded          a budget has no room for this call
│   ├── CourseRule              the course's file does not allow it
│   ├── NotRecorded             the answer is in no recording, and nothing else may be asked
│   └── LocalModelError         the local model can't be fetched, verified or started
├── WorkersAIError              something was sent, and this came back
│   ├── AuthenticationError     the token is wrong or expired, or belongs to another account
│   ├── PermissionDenied        the token is valid but may not do this
│   ├── AccountNotFound         the address names no account
│   ├── UnknownModel            no such model
│   ├── PaidPlanOnly            the model is closed to the free plan
│   ├── AllowanceUsedUp         the day's free neurons are used up
│   ├── GatewayLimit            a spend limit of the AI Gateway is reached
│   ├── RateLimited             too many requests in this minute
│   ├── NoCapacity              the model is busy
│   ├── ContextTooLong          prompt and max_tokens exceed the model's window
│   ├── BadInput                the request was refused as it stands
│   ├── RequestTimeout          no answer in time
│   ├── ConnectionFailed        the server could not be reached
│   ├── ServerError             the server failed
│   ├── CutStream               the answer ended before its end
│   └── ReplyTooLarge           the reply is larger than any real one
├── SchemaMismatch              the answer does not fit the schema, nor did a second one
├── TooManySteps                the model goes on calling functions
├── BudgetReached               the answer was cut at the end of a budget
└── Interrupted                 the user stopped the answer
"""

from .answers import BudgetReached, Interrupted, SchemaMismatch, TooManySteps
from .base import CfaiError
from .setup import (
    BadOption,
    BudgetExceeded,
    CourseRule,
    LocalModelError,
    NoCredentials,
    NotAnAccountId,
    NoTools,
    NotRecorded,
    NoVision,
    SetupError,
    StoreError,
    TokenOnLine,
    VariableError,
)
from .workers_ai import (
    AccountNotFound,
    AllowanceUsedUp,
    AuthenticationError,
    BadInput,
    ConnectionFailed,
    ContextTooLong,
    CutStream,
    GatewayLimit,
    NoCapacity,
    PaidPlanOnly,
    PermissionDenied,
    RateLimited,
    ReplyTooLarge,
    RequestTimeout,
    ServerError,
    UnknownModel,
    WorkersAIError,
)

__all__ = [
    "AccountNotFound",
    "AllowanceUsedUp",
    "AuthenticationError",
    "BadInput",
    "BadOption",
    "BudgetExceeded",
    "BudgetReached",
    "CfaiError",
    "ConnectionFailed",
    "ContextTooLong",
    "CourseRule",
    "CutStream",
    "GatewayLimit",
    "Interrupted",
    "LocalModelError",
    "NoCapacity",
    "NoCredentials",
    "NoTools",
    "NoVision",
    "NotAnAccountId",
    "NotRecorded",
    "PaidPlanOnly",
    "PermissionDenied",
    "RateLimited",
    "ReplyTooLarge",
    "RequestTimeout",
    "SchemaMismatch",
    "ServerError",
    "SetupError",
    "StoreError",
    "TokenOnLine",
    "TooManySteps",
    "UnknownModel",
    "VariableError",
    "WorkersAIError",
]
