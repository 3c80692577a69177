"""Tables, images, stores and runs in; what an evaluation may know and should not, out.

`gather` reads what is given, `find_leaks` runs every check, `as_text` says it in words. The ten
kinds are in `leak.KINDS`. `record_opening` keeps the ledger of evaluations on test patients.
"""

from neoresponse.leaks.audit import Audit, audit_leaks, find_leaks
from neoresponse.leaks.elsewhere import part_of_patients, shared_patients
from neoresponse.leaks.leak import KINDS, Leak, as_text, in_order, unchecked_as_text
from neoresponse.leaks.near import NearCopy, near_copies, thumbnail
from neoresponse.leaks.openings import read_openings, record_files, record_opening
from neoresponse.leaks.sources import Sources, gather

__all__ = [
    "KINDS",
    "Audit",
    "Leak",
    "NearCopy",
    "Sources",
    "as_text",
    "audit_leaks",
    "find_leaks",
    "gather",
    "in_order",
    "near_copies",
    "part_of_patients",
    "read_openings",
    "record_files",
    "record_opening",
    "shared_patients",
    "thumbnail",
    "unchecked_as_text",
]
