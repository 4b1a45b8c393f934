"""The browser's detector compared with Python's verifier: agreement, cost, and false alarms.

    python -m bench.detector [--trials N] [--hours H] [--start N] [--json]

For each profile the detector judges `--trials` legs of each condition, chain and near miss, and then `--hours` of
speech.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Final

from idtone.tones.profile import Profile
from idtone.tones.verification.verifier import Verifier

from ..bench_output import PROGRESS, options, report
from ..verify import confidence, speech_and_music
from ..verify.impaired_legs import CONDITIONS, trials
from ..verify.near_misses import CODINGS, near_miss_trials, near_misses
from ..verify.profiles import profiles
from ..verify.speech_and_music import Part, Signal, speech_take, takes_in
from ..verify.transmission_chains import CHAINS, DAMAGES, chain_trial
from .detector_process import RATE_HZ, DetectorProcess

PART: Final = Part.HELD_OUT
THERE: Final = ("conforms", "present")
DISAGREEING: Final = 0.005
"""The stated error: the largest share of legs on which the detector's verdict differs from Python's."""
REAL_TIME_FACTOR: Final = 0.05
FALSE_ALARMS_PER_HOUR: Final = 0.01
SHOWN: Final = 20


def every_leg(profile: Profile, start: int, count: int) -> Iterator[tuple[str, Signal]]:
    """Legs of every kind with their names.

    Positions of lost packets are left out, because a browser cannot see them.
    """
    numbers = range(start, start + count)
    for condition in CONDITIONS.values():
        for trial in trials(profile, condition, start, count, PART):
            yield condition.name, trial.samples
    for chain, damage, number in product(CHAINS, DAMAGES, numbers):
        yield f"{chain}, {damage}", chain_trial(profile, chain, damage, PART, number).samples
    for name, coding in product(near_misses(profile), CODINGS):
        for trial in near_miss_trials(profile, name, coding, start, count, PART):
            yield f"{name}, {coding}", trial.samples


def measure_agreement(judge: DetectorProcess, start: int, count: int) -> dict[str, Any]:
    """Compare the detector's and Python's verdicts on each leg.

    Returns the counts of verdicts, and the legs with different verdicts.
    """
    both: Counter[str] = Counter()
    differing: list[str] = []
    worst_s = worst_score = 0.0
    for profile in profiles().values():
        PROGRESS.print(f"verdicts: {profile.id} …")
        verifier = Verifier(profile)
        for number, (name, samples) in enumerate(every_leg(profile, start, count)):
            python, browser = verifier.verify(samples, RATE_HZ), judge.judge(profile, samples).result
            both[f"{python.verdict} / {browser['verdict']}"] += 1
            if python.verdict != browser["verdict"]:
                differing.append(f"{profile.id}, {name}, leg {number}: {python.verdict} / {browser['verdict']}")
            elif python.verdict in THERE:
                worst_s = max(worst_s, abs(python.findings[0].start_ms / 1000 - browser["at_s"]))
                worst_score = max(worst_score, abs(python.findings[0].score - browser["score"]))
    legs_judged = both.total()
    return {
        "verdicts, Python / browser": dict(sorted(both.items())),
        "agreement": {
            "legs": legs_judged,
            "differing": len(differing),
            "share": len(differing) / legs_judged,
            "95 % bound": confidence.at_most(len(differing), legs_judged),
            "largest difference of times in ms": 1000 * worst_s,
            "largest difference of scores": worst_score,
        },
        "legs that differ": {str(index): each for index, each in enumerate(differing[:SHOWN], 1)},
    }


def measure_false_alarms(judge: DetectorProcess, start: int, hours: float) -> dict[str, Any]:
    """Count false alarms of each profile in a stream of speech, and measure the processor time."""
    seconds: Counter[str] = Counter()
    cpu: Counter[str] = Counter()
    alarms = left_open = 0
    for index in range(start, start + takes_in(hours)):
        PROGRESS.print(f"speech: take {index} …")
        take = speech_take(PART, index)
        for profile in profiles().values():
            judged = judge.judge(profile, take.samples, stream=True)
            alarms += sum(each["verdict"] in THERE for each in judged.found)
            left_open += sum(each["verdict"] == "cannot-tell" for each in judged.found)
            seconds[profile.id] += take.duration_s
            cpu[profile.id] += judged.cpu_s
    heard_h = sum(seconds.values()) / 3600
    return {
        "speech": {
            "hours of each profile": heard_h / len(seconds),
            "hours": heard_h,
            "false alarms": alarms,
            "an hour": alarms / heard_h,
            "95 % bound": confidence.events_at_most(alarms) / heard_h,
            "cannot tell, an hour": left_open / heard_h,
        },
        "real-time factor": {name: cpu[name] / seconds[name] for name in seconds},
    }


def run_in_web_audio(judge: DetectorProcess) -> dict[str, Any]:
    """Verdicts on one clean leg of each profile in an AudioWorklet at 48 kHz."""
    found = {}
    for profile in profiles().values():
        PROGRESS.print(f"Web Audio: {profile.id} …")
        (trial,) = trials(profile, CONDITIONS["g711-a"], 0, 1, PART)
        found[profile.id] = judge.judge_in_web_audio(profile, trial.samples)["verdict"]
    return {"Web Audio": found}


def main() -> int:
    chosen = options(__doc__, trials=1, hours=1.0, start=0).parse_args()
    speech_and_music.base(PART)
    with tempfile.TemporaryDirectory(prefix="idtone-detector-") as folder, DetectorProcess(Path(folder)) as judge:
        found = measure_agreement(judge, chosen.start, chosen.trials) if chosen.trials else {}
        if chosen.hours:
            found |= measure_false_alarms(judge, chosen.start, chosen.hours)
        found |= run_in_web_audio(judge)
    report("The detector in browsers beside Python's verifier", found, chosen.json)
    return int(
        found.get("agreement", {}).get("share", 0) > DISAGREEING
        or found.get("speech", {}).get("an hour", 0) > FALSE_ALARMS_PER_HOUR
        or max(found.get("real-time factor", {"": 0}).values()) > REAL_TIME_FACTOR
        or not set(found["Web Audio"].values()) <= set(THERE)
    )


if __name__ == "__main__":
    sys.exit(main())
