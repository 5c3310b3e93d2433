"""A local Cloudflare server for tests: Workers AI over real HTTP on loopback, as recorded.

    with Standin() as cloudflare:
        cloudflare.switch(answer="# Hi", tokens_per_second=250)
        ...            # send requests to cloudflare.base_url with cloudflare.token
        assert cloudflare.requests[0].json["stream"] is True
        assert cloudflare.billed == pytest.approx(sum(call.neurons for call in cloudflare.calls))

`switches.py` lists what a test can change. `python -m tests.standin` runs the server for users and
other processes.
"""

from .errors import Fault
from .ledger import Call
from .received import Received
from .server import Standin
from .switches import Switches

__all__ = ["Call", "Fault", "Received", "Standin", "Switches"]
