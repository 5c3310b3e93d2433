"""Report whether a lesson fits the budgets of a class and of its students."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..display.tables import format_estimate
from ..errors import APIConnectionError, APITimeoutError
from ..i18n import _, ngettext
from .admin import open_class
from .folder import ROSTER, ClassFolder, ClassSettings, find_class

MAX_LISTED = 10  # students in one note


class CurrentClass(NamedTuple):
    """A class as it is now.

    Attributes:
        name: Name of the class.
        settings: Its settings.
        own_budgets: Neurons per day by student who can ask. None is the share of the class.
        source: Where the settings come from, in the user's language.
    """

    name: str
    settings: ClassSettings
    own_budgets: Mapping[str, float | None]
    source: str


def format_budget(neurons: float) -> str:
    """Return a budget that a user has set, with all its digits."""
    return f"{neurons:,.12g}"


def load_class(path: str) -> CurrentClass:
    """Return the class in a folder, with the settings of its server if the address is known.

    If the server can't be reached, or has no known address, the settings are those that the class
    starts with.

    Raises:
        InvalidOptionError: There is no class in the folder, or a file in it is not valid.
        CfaiError: The server refuses the request.
    """
    folder = find_class(path)
    if not folder.url:
        source = _("from {file}, because the address of the server is not known yet")
        return _load_roster(folder, source)
    try:
        _folder, server = open_class(folder)
        with server:
            students, settings = server.students(), server.settings()
    except (APIConnectionError, APITimeoutError):
        return _load_roster(folder, _("from {file}, because the server can't be reached"))
    budgets = {student.name: student.budget for student in students if not student.is_revoked}
    return CurrentClass(folder.name, settings, budgets, _("from the server"))


def _load_roster(folder: ClassFolder, source: str) -> CurrentClass:
    settings, students = folder.read_roster()
    return CurrentClass(
        folder.name,
        settings,
        {student.name: student.budget for student in students},
        source.format(file=ROSTER),
    )


def describe_fit(
    current: CurrentClass, typical: float, high: float, models: Sequence[str]
) -> list[str]:
    """Return notes on whether one run of a lesson by each student fits the budgets.

    Args:
        current: The class.
        typical: The typical cost of a run for one student, in neurons.
        high: The maximum cost of a run for one student, in neurons.
        models: Full names of the models that the lesson uses.
    """
    settings, count = current.settings, len(current.own_budgets)
    header = ngettext(
        "Class {name}: {count:,} student, with the settings {source}.",
        "Class {name}: {count:,} students, with the settings {source}.",
        count,
    ).format(name=current.name, count=count, source=current.source)
    return [
        header,
        _describe_share(settings.share, typical, high),
        *_list_students(current.own_budgets, typical, high),
        _describe_class_budget(settings.budget, typical * count, high * count),
        *_describe_models(settings, models),
    ]


def _describe_share(share: float, typical: float, high: float) -> str:
    cost = _("One run costs a student {neurons} neurons.").format(
        neurons=format_estimate(typical, high)
    )
    if not high:
        return cost
    if share < typical:
        verdict = _("It does not fit the share of {share} neurons a day.")
    elif share < high:
        verdict = _("A typical run fits the share of {share} neurons a day, the longest does not.")
    elif typical:
        verdict = _("The share of {share} neurons a day is enough for {low:,} to {many:,} runs.")
    else:
        verdict = _("The share of {share} neurons a day is enough for {low:,} runs.")
    low, many = int(share // high), int(share // typical) if typical else 0
    return f"{cost} {verdict.format(share=format_budget(share), low=low, many=many)}"


def _list_students(
    own_budgets: Mapping[str, float | None], typical: float, high: float
) -> list[str]:
    """Return notes on the students whose own budget is too low."""
    short = {name: own for name, own in own_budgets.items() if own is not None and own < high}
    groups = (
        (_("Too little for one run: {students}."), [n for n in short if short[n] < typical]),
        (
            _("Enough for a typical run only: {students}."),
            [n for n in short if short[n] >= typical],
        ),
    )
    return [text.format(students=_list_budgets(names, short)) for text, names in groups if names]


def _list_budgets(names: Sequence[str], budgets: Mapping[str, float]) -> str:
    listed = ", ".join(f"{name} ({format_budget(budgets[name])})" for name in names[:MAX_LISTED])
    return f"{listed}, …" if len(names) > MAX_LISTED else listed


def _describe_class_budget(budget: float, typical: float, high: float) -> str:
    if budget < typical:
        text = _("One run of all students does not fit the budget of the class, {budget} neurons.")
    elif budget < high:
        text = _(
            "A typical run of all students fits the budget of the class, {budget} neurons. The "
            "longest does not."
        )
    else:
        text = _("One run of all students fits the budget of the class, {budget} neurons.")
    return text.format(budget=format_budget(budget))


def _describe_models(settings: ClassSettings, models: Sequence[str]) -> list[str]:
    if settings.models is None:
        return []
    refused = sorted({model for model in models if model not in settings.models})
    if not refused:
        return []
    return [_("The class does not allow: {models}.").format(models=", ".join(refused))]
