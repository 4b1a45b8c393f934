"""The public site in a real browser: ten tasks of a citizen, each page by axe, a USB stick, a badge that goes grey."""

import http.server
import json
import re
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from lab.chromium import find_or_get_chromium
from lab.console.browser.browser import Browser
from lab.console.browser.browser import browser as started
from lab.office.site.demo import PublicDemo, demo
from lab.office.site.published_site import LICENSED, NEVER, NOT_A_MEMBERS, STOPPED, UNLICENSED

pytestmark = pytest.mark.nightly
TELEPHONE, DESK_TOP = 390, 1920
WITHIN_S = 90
ANSWERS = {
    LICENSED: r"利用許諾を受けた会員の番号です。\s+会員: 良い電話株式会社",
    STOPPED: "停止された番号です",
    NEVER: "発信に使われない番号です",
    UNLICENSED: "今は有効な利用許諾がありません",
    NOT_A_MEMBERS: "会員の番号ではありません",
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("browser")
    with started(find_or_get_chromium(folder), folder) as one:
        yield one


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicDemo]:
    with demo(tmp_path_factory.mktemp("public")) as one:
        yield one


def follow(browser: Browser, words: str) -> None:
    browser.driver.find_element("link text", words).click()


def look_up(browser: Browser, number: str, answer: str) -> None:
    field = browser.driver.find_element("id", "number")
    field.clear()
    field.send_keys(number)
    browser.driver.find_element("css selector", "#look-up button").click()
    browser.wait_for(answer, WITHIN_S)


def test_ten_tasks_of_a_citizen(browser, public):
    """One after the other, as links lead; each begins on the first page."""
    browser.look(TELEPHONE, "light")
    browser.driver.implicitly_wait(WITHIN_S)  # for what a form opens

    def begin() -> None:
        browser.open(f"{public.address}/")

    begin()  # 1 what is this sound?
    assert "音だけでは、本物の電話かどうかは分かりません" in browser.text()
    browser.driver.find_element(
        "tag name", "h1"
    ).click()  # a browser plays nothing before a visitor has touched the page
    played = browser.driver.execute_async_script(  # 2 hear it
        "const done = arguments[0], audio = document.querySelector('audio');"
        "audio.addEventListener('ended', () => done(audio.duration)); audio.addEventListener('error', () => done(0));"
        "audio.muted = true; audio.play();"
    )
    assert played > 0.4
    begin()  # 3 is this number genuine? each answer
    follow(browser, "番号を調べる")
    for number, answer in ANSWERS.items():
        look_up(browser, number, answer)
    assert "協会が署名した第 1 版" in browser.text()
    look_up(browser, "12", "0 から入れてください")
    look_up(browser, STOPPED, ANSWERS[STOPPED])
    follow(browser, "申告してください")  # 4 report it, with what is known filled in
    assert browser.driver.find_element("name", "number").get_property("value") == STOPPED
    what = browser.driver.find_element("name", "what")
    assert "停止された番号です" in str(what.get_property("value"))
    what.send_keys("電話がありました")
    browser.driver.find_element("css selector", "#report button").click()
    receipt = browser.driver.find_element("css selector", ".receipt").text
    browser.open(f"{public.address}/report.html")  # 5 ask what came of it
    follow(browser, "受付番号で経過を見る")
    browser.driver.find_element("name", "receipt").send_keys(receipt)
    browser.driver.find_element("css selector", "form button").click()
    browser.wait_for("事業者に照会しています", WITHIN_S)
    begin()  # 6 whom can I ask?
    follow(browser, "相談と申告")
    calls = [each.get_attribute("href") for each in browser.driver.find_elements("css selector", ".calls a")]
    assert calls == ["tel:110", "tel:%239110", "tel:188"]
    browser.driver.find_element("name", "service").send_keys("うその電話サービス")  # 7 a report without a call
    browser.driver.find_element("id", "service-what").send_keys("番号を貸すと誘われました")
    browser.driver.find_element("css selector", "#report-service button").click()
    assert re.fullmatch("([0-9A-Z]{5}-){3}[0-9A-Z]{5}", browser.driver.find_element("css selector", ".receipt").text)
    begin()  # 8 the quiz
    follow(browser, "クイズ")
    browser.driver.find_element("css selector", "summary").click()
    assert "写した録音も同じように聞こえます" in browser.text()
    browser.open(f"{public.address}/badge.html#m-0001")  # 9 a badge by its link
    browser.wait_for(r"良い電話株式会社\s+利用許諾を受けた会員です", WITHIN_S)
    browser.driver.find_element("id", "member").clear()
    browser.driver.find_element("id", "member").send_keys("m-0002")
    browser.driver.find_element("css selector", "#verify button").click()
    browser.wait_for("今は有効な利用許諾がありません", WITHIN_S)
    follow(browser, "English")  # 10 in English
    assert "Verify a badge" in browser.text()
    follow(browser, "The sound")
    assert "The sound alone proves nothing" in browser.text()


def test_each_page_for_everyone(browser, public):
    names = sorted(path.relative_to(public.site).as_posix() for path in public.site.rglob("*.html"))
    wrong = []
    for name in names:
        for width, scheme in ((TELEPHONE, "light"), (DESK_TOP, "dark")):
            browser.look(width, scheme)
            browser.open(f"{public.address}/{name}")
            wrong += [f"{name}: {fault}" for fault in (*browser.axe(), *browser.keyboard(), *browser.errors())]
            wrong += [f"{name}: wide {element}" for element in [browser.overflow()] if element]
    assert wrong == [], "\n".join(wrong)


def test_the_first_page_works_from_a_usb_stick(browser, public):
    browser.look(TELEPHONE, "light")
    browser.open((public.site / "index.html").as_uri())
    played = browser.driver.execute_async_script(
        "const done = arguments[0], audio = document.querySelector('audio');"
        "audio.addEventListener('loadedmetadata', () => done(audio.duration));"
        "audio.addEventListener('error', () => done(0)); audio.preload = 'auto'; audio.load();"
    )
    assert played > 0.4
    follow(browser, "印刷用")
    assert browser.driver.find_elements("css selector", "svg.qr")
    assert browser.errors() == []


@pytest.mark.skipif(find_spec("idtone.tones.detector") is None, reason="this tree has no detector for the browser")
@pytest.mark.parametrize(
    ("sound", "answer"), [("sample", "「見本音.*」の特徴と合う音があります"), ("busy", "「見本音.*」はありません")]
)
def test_the_page_that_recognises_the_sound_works_from_a_usb_stick(browser, public, tmp_path, sound, answer):
    recording = tmp_path / "recording.wav"
    with wave.open(str(public.site / "sounds" / f"{sound}.wav")) as heard, wave.open(str(recording), "wb") as longer:
        longer.setparams(heard.getparams())
        silence = bytes(2 * heard.getframerate())
        longer.writeframes(silence + heard.readframes(heard.getnframes()) + silence)
    browser.look(TELEPHONE, "light")
    browser.open((public.site / "recognise.html").as_uri())
    assert "音だけでは、本物の電話かどうかは分かりません" in browser.text()
    browser.driver.find_element("id", "file").send_keys(str(recording))
    browser.wait_for(answer, WITHIN_S)
    assert browser.errors() == []


@contextmanager
def page_of_an_operator(folder: Path, text: str) -> Iterator[str]:
    (folder / "index.html").write_text(text, "utf-8")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_a_badge_on_an_operators_page_goes_grey_by_itself(browser, public, tmp_path):
    """A page of another origin: valid, without a licence, and with the key of another association."""
    loaded = f'<script type="module" src="{public.address}/widget.js" data-member="{{}}" {{}}></script>'
    text = "".join(
        loaded.format(*words) for words in (("m-0001", ""), ("m-0002", ""), ("m-0001", f'data-root="{"0" * 64}"'))
    )
    page = f'<!doctype html><html lang="ja"><meta charset="utf-8"><title>x</title><main>{text}</main></html>'
    with page_of_an_operator(tmp_path, page) as address:
        browser.look(TELEPHONE, "light")
        browser.open(address)
        browser.wait_for("良い電話株式会社", WITHIN_S)
        states = [each.get_attribute("data-state") for each in browser.driver.find_elements("css selector", "main a")]
        assert states == ["valid", "grey", "grey"]
        statement = public.site / "statement" / "statement.json"
        kept = statement.read_bytes()
        try:
            whole = json.loads(kept)
            whole["signed"]["holders"] = []
            statement.write_text(json.dumps(whole))
            browser.open(address)
            browser.wait_for("有効な利用許諾を確かめられません", WITHIN_S)
            assert "良い電話株式会社" not in browser.text()
        finally:
            statement.write_bytes(kept)
