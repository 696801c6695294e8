"""Who sent a request and what that allows: static tokens, JSON web tokens, an HTTP service that is asked.

A static token, and a JWT whose id is "*", may do everything. Any other JWT speaks for the one stream it names:

    bit   publish   play   play back   see the stream   delete, cascade, record   its sessions
    4 r             yes    yes         yes                                        those made with it
    2 w   yes                          yes                                        those and the publisher's
    1 x                                yes              yes                       all

Authentication is off while there are no static tokens, as in Live777, and neither a key set nor a service.
"""

from live777py.http.auth.access import ANYBODY, Access, AccessRequest, Mode, Principal
from live777py.http.auth.authenticator import Authenticator
from live777py.http.auth.owners import SessionOwners

__all__ = ["ANYBODY", "Access", "AccessRequest", "Authenticator", "Mode", "Principal", "SessionOwners"]
