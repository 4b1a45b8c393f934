"""Printable papers for the course: its text and test, and the certificate of attendance."""

from datetime import datetime

from idtone.core.errors import UsageError
from idtone.core.japan_time import JAPAN
from idtone.core.paper.content import Paper, Section
from idtone.registry.model import RegistryDocument

from ..papers.letters import Sender, signed_paper
from .attendances import Attendance
from .course import Course, Question

_NOTE = (
    "この課程は idtone が作成したもので、協会や法令が定めたものではありません。弁護士の確認が必要です。 / "
    "This course is idtone's own; neither the association nor the law prescribes it. A lawyer has to check it."
)


def course_paper(course: Course, now: datetime) -> Paper:
    """Printable paper with the lessons and the test, without answers."""
    title = f"{course.title.ja} / {course.title.en} ({course.version})"
    lessons = [
        Section(
            f"{lesson.title.ja} / {lesson.title.en}",
            paragraphs=[text for each in lesson.paragraphs for text in (each.ja, each.en)],
        )
        for lesson in course.lessons
    ]
    head = Section(title, paragraphs=[_NOTE])
    test = Section(
        f"テスト / Test {course.version} ({course.pass_percent} %)",
        [("会員 / member", ""), ("氏名 / name", ""), ("日付 / date", "")],
        boxed=True,
    )
    questions = [Section(f"{each.id}. {each.ask.ja} / {each.ask.en}", [*_choices(each)]) for each in course.questions]
    return Paper(title, now.astimezone(JAPAN), [head, *lessons, test, *questions])


def _choices(question: Question) -> list[tuple[str, str]]:
    return [(f"□ {letter}", f"{words.ja} / {words.en}") for letter, words in question.choices.items()]


def attendance_paper(
    document: RegistryDocument, attendance: Attendance, course: Course, by: Sender, now: datetime
) -> Paper:
    """Certificate of attendance (受講証明書) for a passed test.

    Raises UsageError if the test was failed or the name was erased. The certificate states the course's title only if
    the test used the current version.
    """
    if not attendance.passed:
        raise UsageError("the test {id} was not passed; there is no certificate for it", id=attendance.id)
    if not attendance.person:
        raise UsageError("the name of {id} is erased; there is no certificate any more", id=attendance.id)
    names = {each.id: f"{each.name.ja} / {each.name.en}" for each in document.members}
    title = f"{course.title.ja} / {course.title.en}" if course.version == attendance.version else ""
    facts = {
        "番号 / number": by.number or attendance.id,
        "氏名 / name": attendance.person,
        "会員 / member": f"{names.get(attendance.member, '')} ({attendance.member})",
        "課程 / course": f"{title} {attendance.version}".strip(),
        "受講日 / taken on": attendance.day,
        "成績 / points": f"{attendance.right} / {attendance.of}",
    }
    return signed_paper(
        "受講証明書 / Certificate of attendance",
        document,
        facts,
        by,
        now,
        "上記の者が、識別音と制度についての課程を受講し、テストに合格したことを証します。",
        "This person has taken the course about the sound and the scheme, and has passed its test.",
    )
