"""The leak audit: nothing may change when the future does."""

from fastpanel._audit._ask import audit as audit
from fastpanel._audit._features import AuditReport as AuditReport
from fastpanel._audit._features import Finding as Finding
from fastpanel._audit._verdict import Check as Check
from fastpanel._audit._verdict import Leak as Leak
from fastpanel._audit._verdict import RunAudit as RunAudit

__all__ = ["AuditReport", "Check", "Finding", "Leak", "RunAudit", "audit"]
