"""Who and where, as the stand-in workspace names them."""

OPS, APPROVALS, WORKSHOP = "C0OPS", "C0APPROVALS", "C0WORKSHOP"
ADA, GRACE, LINUS = "U0REQUESTER", "U0APPROVER", "U0MEMBER"
GUEST, STRANGER = "U0GUEST", "U0STRANGER"
HOME = "home"  # of whoever one is
