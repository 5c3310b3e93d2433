"""One prompt over many rows: planned, priced, asked at once or by the queue, kept, given back."""

from .mapper import How, Mapper
from .plan import plan_of

__all__ = ["How", "Mapper", "plan_of"]
