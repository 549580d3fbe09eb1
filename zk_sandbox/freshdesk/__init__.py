"""A simulated Freshdesk: the parts of its API v2 that time entries need.

It is built from documents and from the code of other clients; nothing of it was compared with a recording of the real
Freshdesk, because there is none. What is unknown is a switch (`settings.Settings`), so that both can be tested.
"""

from zk_sandbox.freshdesk.server import FreshdeskServer

__all__ = ["FreshdeskServer"]
