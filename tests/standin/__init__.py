"""A local Cloudflare server for tests: Workers AI over real HTTP on loopback, as recorded.

    with Standin() as cloudflare:
        cloudflare.switch(answer="# Hi", tokens_per_second=250)
        ...            # send requests to cloudflare.base_url with cloudflare.token
        assert cloudflare.requests[0].json["stream"] is True
        assert cloudflare.billed == pytest.approx(sum(call.neurons for call in cloudflare.calls))

`behavior.Switches` lists what a test can change. `python -m tests.standin` runs the server for
users and other processes.
"""

from .behavior import Switches
from .errors import Fault, Reply
from .server import Standin
from .state import Call, Received

__all__ = ["Call", "Fault", "Received", "Reply", "Standin", "Switches"]
