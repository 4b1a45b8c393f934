"""Example holds of the brake for pages: one for each step and one for a number, on this node and on another."""

from idtone.call_control.brake.limits import BrakeStep, LineKind, SubjectKind
from idtone.call_control.brake.shared_stops import Hold, token_of
from idtone.call_control.brake.state_files import state_path, write_state
from idtone.core.settings.settings import Settings

KEY = bytes(32)


def hold(name: str, step: BrakeStep, since_s: float, kind: SubjectKind, node: str, call_id: str) -> Hold:
    line = LineKind.NUMBER if kind is SubjectKind.NUMBER else LineKind.PBX
    label = "" if kind is SubjectKind.NUMBER else name
    return Hold(token_of(KEY, kind, name), kind, line, label, step, "calls-in-a-minute", since_s, node, call_id)


def holds(own: str) -> tuple[Hold, ...]:
    """The holds. Two of them are from the node `own`."""
    return (
        hold("6001", BrakeStep.MARK, 1.8e9, SubjectKind.ENDPOINT, "another", "1.1-1"),
        hold("<script>alert(1)</script>", BrakeStep.STOP, 1.7e9, SubjectKind.CUSTOMER, own, "a/b-1"),
        hold("+81312345678", BrakeStep.SLOW, 1.75e9, SubjectKind.NUMBER, own, "1.3-1"),
    )


def write_holds(settings: Settings, own: str) -> None:
    write_state(state_path(settings), KEY, {"holds": [each.to_json() for each in holds(own)], "released": {}})
