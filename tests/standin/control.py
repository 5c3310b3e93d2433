"""Routes under /_standin: other processes set switches and read logs."""

from .exchange import Cloud
from .received import Received
from .reply import Reply, plain
from .script import Script

PREFIX = "/_standin/"


def control(cloud: Cloud, request: Received) -> Reply:
    """Answer one control request."""
    name = request.path.removeprefix(PREFIX)
    if (request.method, name) == ("POST", "switches"):
        return switched(cloud, request)
    if (request.method, name) == ("DELETE", "requests"):
        cloud.log.clear()
        return plain([])
    records = {
        "switches": cloud.script.switches.as_json(),
        "requests": [one.as_json() for one in cloud.log.requests],
        "calls": [entry.call._asdict() for entry in cloud.ledger.entries],
    }
    if request.method != "GET" or name not in records:
        return plain({"error": f"there are {', '.join(records)}"}, 404)
    return plain(records[name])


def switched(cloud: Cloud, request: Received) -> Reply:
    """Change the given switches; the others keep their values."""
    try:
        changed = cloud.script.switches.with_json(request.json)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return plain({"error": str(error)}, 400)
    cloud.script = Script(changed)
    return plain(changed.as_json())
