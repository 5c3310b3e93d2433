"""The values that travel between the floors: frozen, comparable, without input or output."""

from .answer import Answer
from .delta import Called, Delta, Finish, Text, Thought, ToolCall
from .model import Catalogue, Model
from .request import Message, Request
from .standing import AccountFigure, Limit, Running, Scope, Standing, Status
from .usage import Basis, Usage

__all__ = [
    "AccountFigure",
    "Answer",
    "Basis",
    "Called",
    "Catalogue",
    "Delta",
    "Finish",
    "Limit",
    "Message",
    "Model",
    "Request",
    "Running",
    "Scope",
    "Standing",
    "Status",
    "Text",
    "Thought",
    "ToolCall",
    "Usage",
]
