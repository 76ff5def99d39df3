"""The viewer's page in a real browser. Time is the test's own: the page's clock stands still until a test moves it."""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from examples.pong import pong
from tests.wm_live.worlds import HELLO, ROLLOUT, Pushed, frame, inputs, message
from wm_live.errors import WmLiveError
from wm_live.watch.server import Watch
from wm_live.watch.viewer import Feed, FrameMessage, Hello, ListFeed
from wm_train.melee.melee import GAME
from wm_train.world.fields import fixed

webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium; get it with: make setup")
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

#: Seconds that a condition may take on a busy machine.
LIMIT = 300
TICK = 1000 / 60
#: What stands where there is nothing to say.
NONE = "\u2013"
#: Replaces the page's clock: tick(ms) moves it and draws once. Timers and the network keep running.
CLOCK = """
let now = 0, due = [];
performance.now = () => now;
window.requestAnimationFrame = (draw) => due.push(draw);
window.tick = (ms) => { now += ms; const drawn = due; due = []; drawn.forEach((draw) => draw(now)); };
"""


#: Keeps what is written on canvases: text, x and y.
NAMES = """
window.names = [];
const write = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  if (/^P[12]$/.test(text)) names.push([text, x, y]);
  return write.call(this, text, x, y);
};
"""


class Served:
    """A Watch on an event loop of its own, in a thread."""

    def __init__(self, make: Callable[[], Feed], port: int = 0) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.feed: Any = self._do(self._made(make))
        self.heard: list[Any] = []
        self.watch = Watch(self.feed, port, hear=lambda text: self.heard.append(json.loads(text)))
        self._do(self.watch.start())

    async def _made(self, make: Callable[[], Feed]) -> Feed:
        return make()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LIMIT)

    def push(self, *items: FrameMessage | Exception | None) -> None:
        self._loop.call_soon_threadsafe(self.feed.push, *items)

    def until_fed(self, count: int) -> None:
        """Wait until so many frames are there for whoever connects."""

        async def fed() -> None:
            while self.watch._ring.count < count:
                await asyncio.sleep(0)

        self._do(fed())

    def stop(self) -> None:
        if self._loop.is_closed():
            return
        self._do(self.watch.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT)
        self._loop.close()


class Page:
    """The page in the browser, as a user sees it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, served: Served) -> None:
        self.driver.get(served.watch.url)

    def script(self, code: str, *given: Any) -> Any:
        return self.driver.execute_script(code, *given)

    def find(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return str(self.script("return document.querySelector(arguments[0]).textContent", selector))

    def tick(self, times: int = 1, ms: float = TICK) -> None:
        self.script("for (let i = 0; i < arguments[0]; i++) tick(arguments[1])", times, ms)

    @property
    def frame(self) -> int:
        """Number of the frame that is shown, once all that is due has been drawn."""
        self.tick(ms=0)
        return int(self.script("return document.documentElement.dataset.frame ?? -1"))

    def until(self, there: Callable[[], bool]) -> None:
        """Wait for a condition, drawing meanwhile without moving the clock."""

        def drawn(_: Any) -> bool:
            self.tick(ms=0)
            return there()

        WebDriverWait(self.driver, LIMIT, 0.05).until(drawn)

    def keys(self, *keys: str, to: str = "body") -> None:
        for key in keys:
            self.find(to).send_keys(key)

    def press(self, key: str) -> None:
        """A key to whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(key)

    def emulate(self, **features: str) -> None:
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": listed})

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def complaints(self) -> list[str]:
        """What the browser logged as an error since the last time: scripts that failed, policies that were broken."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def driver(chromium: tuple[str, str]) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location, service = chromium[0], Service(chromium[1])
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options, service)
    made.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": CLOCK})
    yield made
    made.quit()


@pytest.fixture
def page(driver: Any) -> Iterator[Page]:
    made = Page(driver)
    made.size(1440, 900)
    made.emulate(prefers_color_scheme="light", prefers_reduced_motion="no-preference")
    made.complaints()
    yield made
    driver.get("about:blank")


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    running: list[Served] = []

    def start(make: Callable[[], Feed] = Pushed, port: int = 0) -> Served:
        running.append(Served(make, port))
        return running[-1]

    yield start
    for served in running:
        served.stop()


def live(page: Page, serve: Callable[..., Served], count: int = 100) -> Served:
    """A live session of which `count` frames are shown."""
    served = serve()
    page.open(served)
    served.push(*(message(n) for n in range(count)))
    page.until(lambda: page.frame == count - 1)
    return served


def rollout(page: Page, serve: Callable[..., Served], count: int = 200, **more: Any) -> Served:
    """A rollout of `count` frames that are all there; the page stands at the first."""
    served = serve(lambda: ListFeed(ROLLOUT, [message(n, real=message(n + 2).frame, **more) for n in range(count)]))
    page.open(served)
    page.until(lambda: page.text("#link") == "complete" and page.frame == 0)
    return served


def drawn(page: Page, colour: str) -> tuple[int, float, float]:
    """Pixels of the stage that have a colour of the theme: how many, and their mean x and y from the top left."""
    code = """
    const canvas = document.getElementById("screen"), probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(arguments[0]);
    probe.fillRect(0, 0, 1, 1);
    const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
    const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let [count, x, y] = [0, 0, 0];
    for (let i = 0; i < data.length; i += 4) {
      if (data[i] !== r || data[i + 1] !== g || data[i + 2] !== b) continue;
      count += 1;
      x += (i / 4) % width;
      y += Math.floor(i / 4 / width);
    }
    return [count, x / count, y / count];
    """
    count, x, y = page.script(code, colour)
    return count, x, y


def test_it_shows_the_newest_frame_of_a_session(page: Page, serve: Callable[..., Served]) -> None:
    served = live(page, serve, 35)
    assert page.text("#title") == "A test" and page.text("#where") == "Battlefield · Fox and Falco"
    assert page.text("#link") == "live" and page.text("#clock").startswith("frame 34 ·")
    one, two = (f".player.s{p}" for p in (0, 1))
    assert (page.text(f"{one} .damage span"), page.text(f"{one} .action")) == ("34", "walking")
    assert (page.text(f"{two} .damage span"), page.text(f"{two} .action")) == ("12", "standing")
    assert (page.text(f"{one} .lives"), page.text(f"{two} .lives")) == ("●●●●", "●●●○")
    assert (
        page.text(f"{two} [data-field=shield]"),
        page.text(f"{one} [data-field=hitlag]"),
        page.text(f"{one} [data-field=jumps]"),
    ) == ("30.0", NONE, "2")
    served.push(FrameMessage(35, frame({"hitlag": 7, "x": -40, "stocks": 4}, {"x": 40}), inputs()))
    page.until(lambda: page.frame == 35)
    assert page.text(f"{one} [data-field=hitlag]") == "7"
    assert page.complaints() == []


def test_players_are_drawn_where_they_are(page: Page, serve: Callable[..., Served]) -> None:
    served = serve()
    page.open(served)
    high_left, low_right = {"x": -60, "y": 60, "action": 29}, {"x": 60, "action": 14}
    places = [(high_left, low_right), (low_right, high_left)]
    for n, (one, two) in enumerate(places):
        served.push(FrameMessage(n, frame(one, two), inputs()))
        page.until(lambda n=n: page.frame == n)  # type: ignore[misc]
        high, low = ("--s0", "--s1") if n == 0 else ("--s1", "--s0")
        (count, left, top), (other, right, bottom) = drawn(page, high), drawn(page, low)
        assert min(count, other) > 100 and right - left > 200 and bottom - top > 100


def test_the_controllers_are_live(page: Page, serve: Callable[..., Served]) -> None:
    served = live(page, serve, 1)
    pad = ".player.s0 .pad"
    assert page.script(f"return document.querySelectorAll('{pad} .button.on').length") == 1
    east = float(page.find(f"{pad} .knob").get_attribute("cx"))
    served.push(FrameMessage(1, frame(), inputs({"stick_x": -80, "B": 1, "Z": 1, "shoulder": 40}, {"A": 1})))
    page.until(lambda: page.frame == 1)
    assert float(page.find(f"{pad} .knob").get_attribute("cx")) < 32 < east
    assert page.script(f"return document.querySelectorAll('{pad} .button.on').length") == 2
    assert float(page.find(f"{pad} rect.on").get_attribute("width")) == 28
    assert page.find(f"{pad} svg").get_attribute("class") == ""
    served.push(FrameMessage(2, frame(), None))
    page.until(lambda: page.frame == 2)
    assert page.find(f"{pad} svg").get_attribute("class") == "unknown"


def test_pause_holds_the_frame_while_more_come(page: Page, serve: Callable[..., Served]) -> None:
    served = live(page, serve)
    page.keys(Keys.SPACE)
    assert page.find("#play").get_attribute("aria-label") == "Play"
    served.push(*(message(n) for n in range(100, 120)))
    page.until(lambda: page.script("return document.getElementById('scrub').max") == "119")
    assert page.frame == 99
    page.until(lambda: page.text("#said") == "Paused at frame 99")
    page.keys(Keys.SPACE)
    page.tick(200)
    assert page.frame == 119


def test_steps_and_ends_by_keyboard(page: Page, serve: Callable[..., Served]) -> None:
    served = live(page, serve, 100)
    page.keys(Keys.ARROW_LEFT)
    assert page.frame == 98
    page.keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_RIGHT)
    assert page.frame == 97
    page.keys(Keys.SHIFT + Keys.ARROW_LEFT)
    assert page.frame == 37
    page.keys(Keys.HOME)
    assert page.frame == 0
    page.keys(Keys.ARROW_LEFT)
    assert page.frame == 0
    page.keys(Keys.END)
    assert page.frame == 99 and page.find("#newest").get_attribute("aria-pressed") == "true"
    served.push(message(100))
    page.until(lambda: page.frame == 100)


def test_scrubbing(page: Page, serve: Callable[..., Served]) -> None:
    live(page, serve, 100)
    page.keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT, to="#scrub")
    assert page.frame == 97
    assert "frame 97, 1.62 s" in page.find("#scrub").get_attribute("aria-valuetext")
    page.keys(Keys.HOME, to="#scrub")
    assert page.frame == 0
    page.script("const s = arguments[0]; s.value = 42; s.dispatchEvent(new Event('input'))", page.find("#scrub"))
    assert page.frame == 42 and page.find("#play").get_attribute("aria-label") == "Play"


@pytest.mark.parametrize(("keys", "shown"), [("", 60), ("-", 30), ("--", 15), ("---", 15), ("+", 120), ("+++", 240)])
def test_speed(page: Page, serve: Callable[..., Served], keys: str, shown: int) -> None:
    rollout(page, serve, 300)
    page.keys(*keys)
    page.tick(60)
    assert abs(page.frame - shown) <= 1


def test_speed_by_its_own_control(page: Page, serve: Callable[..., Served]) -> None:
    rollout(page, serve)
    page.keys(Keys.ARROW_DOWN, to="#speed")
    assert page.find("#speed").get_attribute("value") == "2"
    page.tick(30)
    assert abs(page.frame - 60) <= 1


def test_a_rollout_plays_once_and_again(page: Page, serve: Callable[..., Served]) -> None:
    rollout(page, serve, 50)
    page.tick(100)
    assert page.frame == 49 and page.find("#play").get_attribute("aria-label") == "Play"
    page.keys(Keys.SPACE)
    page.tick(10)
    assert 8 <= page.frame <= 12


def test_drift_is_shown_with_truth_only(page: Page, serve: Callable[..., Served]) -> None:
    served = live(page, serve, 3)
    assert not page.find("#drift").is_displayed() and not page.find(".really").is_displayed()
    other = frame({"x": -38, "y": 8, "action": 44}, {"x": 30})
    served.push(FrameMessage(3, frame({"x": -40, "action": 15}, {"x": 30}), inputs(), real=other))
    page.until(lambda: page.frame == 3)
    assert page.find("#drift").is_displayed() and page.text("#drift output") == "2.50"
    assert page.text(".player.s0 .really") == "replay: jab 1"
    assert page.text(".player.s1 .really") == "as in the replay" and page.text("#right") == "50.0 %"
    page.keys(Keys.ARROW_LEFT)
    assert page.frame == 2 and page.text("#drift output") == NONE


def test_drift_goes_with_the_truth(page: Page, serve: Callable[..., Served]) -> None:
    served = rollout(page, serve, 10)
    assert page.find("#drift").is_displayed()
    served.stop()
    serve(Pushed, served.watch.port).push(message(0))
    page.until(lambda: page.text("#link") == "live" and not page.find("#drift").is_displayed())


def test_costs_digest_and_what_was_late_or_missed(page: Page, serve: Callable[..., Served]) -> None:
    served = live(page, serve, 1)
    assert not page.find("#cu").is_displayed() and not page.find("#digest-row").is_displayed()
    served.push(message(1, cu=853_790, digest="ab" * 32, late=True), message(5, cu=853_791))
    page.until(lambda: page.frame == 5)
    assert page.find("#cu").is_displayed() and page.text("#cu output") == "853,791"
    assert page.text("#late") == "1" and page.text("#missed") == "3"
    page.keys(Keys.ARROW_LEFT)
    assert page.frame == 1 and page.text("#digest") == "ab" * 32 and page.text("#cu output") == "853,790"


def test_frames_a_second(page: Page, serve: Callable[..., Served]) -> None:
    served = live(page, serve, 1)
    page.tick(ms=2000)
    served.push(*(message(n) for n in range(1, 31)))
    page.until(lambda: page.frame == 30)
    assert page.text("#received") == "30.0 fps"
    page.tick(ms=2000)
    page.until(lambda: page.text("#received") == "0.0 fps")


def test_it_comes_back_after_the_server_did(page: Page, serve: Callable[..., Served]) -> None:
    served = live(page, serve, 100)
    page.keys(*[Keys.ARROW_LEFT] * 10)
    assert page.frame == 89
    port = served.watch.port
    served.stop()
    page.until(lambda: page.text("#link") == "connection lost, trying again")
    assert page.frame == 89
    again = serve(Pushed, port)
    again.push(*(message(n) for n in range(130)))
    page.until(
        lambda: page.text("#link") == "live" and page.script("return document.getElementById('scrub').max") == "129"
    )
    assert page.frame == 89
    page.keys(Keys.END)
    assert page.frame == 129


def test_a_server_that_is_gone_is_called_so(page: Page, serve: Callable[..., Served]) -> None:
    served = live(page, serve, 3)
    served.stop()
    page.until(lambda: page.text("#link") == "connection lost, trying again")
    page.until(lambda: page.text("#link").startswith("the server has stopped; what it showed stays here"))
    assert page.frame == 2 and page.text("#clock").startswith("frame 2 ")


def test_names_of_players_do_not_cover_each_other(page: Page, serve: Callable[..., Served]) -> None:
    """Both in one place, both beyond the same edge, both at the top: two names, inside the picture, apart."""
    served = serve()
    page.open(served)
    page.script(NAMES)
    for n, place in enumerate(({"x": 0, "y": 0}, {"x": -255, "y": 0}, {"x": 0, "y": 230}, {"x": -250, "y": 225})):
        served.push(FrameMessage(n, frame(place, place), inputs()))
        page.until(lambda n=n: page.frame == n)  # type: ignore[misc]
        page.script("names.length = 0; window.dispatchEvent(new Event('resize'))")
        page.tick()
        (_, x0, y0), (_, x1, y1) = sorted(page.script("return names.slice(-2)"))
        size = page.find("#screen").size
        assert abs(x0 - x1) >= 20 or abs(y0 - y1) >= 12
        assert all(8 <= x <= size["width"] - 8 for x in (x0, x1))
        assert all(12 <= y <= size["height"] for y in (y0, y1))


def test_a_lost_session_is_followed_again(page: Page, serve: Callable[..., Served]) -> None:
    served = live(page, serve, 10)
    port = served.watch.port
    served.stop()
    page.until(lambda: "lost" in page.text("#link"))
    serve(Pushed, port).push(*(message(n) for n in range(20)))
    page.until(lambda: page.frame == 19)


def test_the_session_after_one_that_was_followed_to_its_end_is_followed(
    page: Page, serve: Callable[..., Served]
) -> None:
    served = live(page, serve, 10)
    served.push(None)
    page.until(lambda: page.text("#link") == "session over")
    served.stop()
    page.tick(20)
    assert page.text("#link") == "session over"
    serve(Pushed, served.watch.port).push(message(0), message(1))
    page.until(lambda: page.text("#link") == "live" and page.frame == 1)


@pytest.mark.parametrize(("last", "says"), [(None, "session over"), (WmLiveError("no rollup"), "stopped: no rollup")])
def test_the_end_is_said(page: Page, serve: Callable[..., Served], last: Any, says: str) -> None:
    served = live(page, serve, 3)
    served.push(last)
    page.until(lambda: page.text("#link") == says)
    assert page.find("#link").get_attribute("data-state") == ("bad" if last else "off")
    assert page.frame == 2


def test_old_frames_are_forgotten_as_the_server_forgets_them(page: Page, serve: Callable[..., Served]) -> None:
    served = serve()
    served.push(*(message(n) for n in range(3900)))
    served.until_fed(3900)
    page.open(served)
    page.until(lambda: page.frame == 3899)
    served.push(*(message(n) for n in range(3900, 4000)))
    page.until(lambda: page.frame == 3999)
    page.keys(Keys.HOME)
    assert page.frame == 400
    assert page.find("#scrub").get_attribute("min") == "100", "so many of those that it got"


@pytest.mark.parametrize(("width", "height"), [(360, 640), (768, 1024), (1440, 900)])
def test_no_screen_scrolls_sideways(page: Page, serve: Callable[..., Served], width: int, height: int) -> None:
    page.size(width, height)
    rollout(page, serve, 20, cu=853_790, digest="ab" * 32)
    assert page.script("return document.documentElement.scrollWidth") <= width
    for control in ("help-open", "scrub", "back", "play", "forward", "speed", "newest"):
        box = page.find(f"#{control}").rect
        assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["height"] >= 24, control
    page.keys("?")
    box = page.find("#help").rect
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert page.script("return arguments[0].scrollTop", page.find("#help")) == 0
    if width == 1440:
        assert page.script("return document.documentElement.scrollHeight") <= height


def test_the_keyboard_reaches_everything_and_shows_where_it_is(page: Page, serve: Callable[..., Served]) -> None:
    rollout(page, serve, 20)
    reached = []
    for _ in range(7):
        page.press(Keys.TAB)
        active = page.driver.switch_to.active_element
        reached.append(active.get_attribute("id"))
        assert page.script("return getComputedStyle(arguments[0]).outlineStyle", active) == "solid"
    assert reached == ["help-open", "scrub", "back", "play", "forward", "speed", "newest"]


def test_a_button_takes_its_key_once(page: Page, serve: Callable[..., Served]) -> None:
    rollout(page, serve, 50)
    page.keys(Keys.SPACE, to="#play")
    assert page.find("#play").get_attribute("aria-label") == "Play"
    page.keys(Keys.SPACE, to="#forward")
    assert page.frame == 1


def test_help_opens_and_keeps_the_keys(page: Page, serve: Callable[..., Served]) -> None:
    live(page, serve, 10)
    page.keys("?")
    assert page.find("#help").is_displayed() and "play, pause" in page.find("#help").text
    page.press(Keys.ARROW_LEFT)
    assert page.frame == 9
    page.press(Keys.ESCAPE)
    assert not page.find("#help").is_displayed()


def test_it_can_be_told_in_words(page: Page, serve: Callable[..., Served]) -> None:
    live(page, serve, 10)
    said = "Frame 9. Player 1, Fox: walking, 9 %, 4 stocks. Player 2, Falco: standing, 12 %, 3 stocks."
    page.keys("i")
    page.until(lambda: page.text("#said") == said)
    page.keys(Keys.SPACE)
    page.until(lambda: page.text("#words") == said)
    assert page.find("#said").get_attribute("aria-live") == "polite"
    assert page.find("#screen").get_attribute("aria-describedby") == "words"
    unnamed = "return [...document.querySelectorAll('canvas, input, .pad svg')].filter(n => !n.ariaLabel).length"
    assert page.script(unnamed) == 0


def test_running_frames_are_not_said(page: Page, serve: Callable[..., Served]) -> None:
    served = live(page, serve, 10)
    served.push(*(message(n) for n in range(10, 40)))
    page.until(lambda: page.frame == 39)
    assert page.text("#said") == ""
    served.push(FrameMessage(40, frame({"stocks": 3}, {"stocks": 3}), inputs()))
    page.until(lambda: page.text("#said") == "Player 1, Fox, has lost a stock; 3 left")


def test_dark_and_light(page: Page, serve: Callable[..., Served]) -> None:
    live(page, serve, 1)
    ground = "return getComputedStyle(document.body).backgroundColor"
    light, before = page.script(ground), drawn(page, "--s0")[0]
    page.emulate(prefers_color_scheme="dark")
    page.until(lambda: page.script(ground) != light)
    assert before > 100
    page.until(lambda: drawn(page, "--s0")[0] > 100)


def test_who_wants_no_motion_starts_it(page: Page, serve: Callable[..., Served]) -> None:
    page.emulate(prefers_reduced_motion="reduce")
    rollout(page, serve, 50)
    page.tick(30)
    assert page.frame == 0
    page.keys(Keys.SPACE)
    page.tick(30)
    assert page.frame >= 28


@pytest.mark.parametrize("extreme", [-(2**31), 2**31 - 1])
def test_numbers_from_outside_are_those_of_the_game(page: Page, serve: Callable[..., Served], extreme: int) -> None:
    """A Frame that a node has made up: the page shows what the game has, and goes on."""
    served = serve()
    page.open(served)
    lied = np.full_like(message(0).frame, extreme)
    pressed = np.full_like(message(0).inputs, np.clip(extreme, -128, 127))
    served.push(message(0), FrameMessage(1, lied, pressed, real=lied), message(2))
    page.until(lambda: page.frame == 2)
    page.keys(Keys.ARROW_LEFT)
    page.until(lambda: page.frame == 1)
    assert page.text(".lives") in ("", "\u25cb" * 4, "\u25cf" * 4)
    assert page.complaints() == []
    page.keys(Keys.ARROW_RIGHT)
    page.until(lambda: page.frame == 2)


def test_names_from_outside_are_text(page: Page, serve: Callable[..., Served]) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    served = serve(lambda: Pushed(replace(HELLO, title=hostile)))
    page.open(served)
    page.until(lambda: page.text("#title") == hostile)
    assert page.script("return document.images.length") == 0 and page.complaints() == []


def test_a_game_without_a_view_has_its_page(page: Page, serve: Callable[..., Served]) -> None:
    served = serve(lambda: Pushed(Hello("Rally", pong.GAME, 0, (), 3)))
    page.open(served)
    places: list[dict[str, float]] = [
        {"ball_across": 8, "ball_up": 10, "points": 2, "paddle": -1.5},
        {"ball_across": 56, "ball_up": 10},
    ]
    now = np.zeros((2, len(pong.GAME.state)), np.int32)
    for player, fields in enumerate(places):
        for name, value in fields.items():
            now[player, pong.GAME.state_index[name]] = fixed(value)
    served.push(FrameMessage(0, now, np.array([[5, 1], [-10, 0]], np.int8), real=now))
    page.until(lambda: min(drawn(page, "--s0")[0], drawn(page, "--s1")[0]) > 100)
    (_, left, _), (_, right, _) = drawn(page, "--s0"), drawn(page, "--s1")
    assert right - left > 50
    assert page.text("#where") == "Pong" and not page.find("#sides").is_displayed()
    assert page.text("#words") == "Frame 0. Player 1: swing 0, 2 lives. Player 2: swing 0, 0 lives. Drift 0.00 units."
    one = ".player.s0"
    assert page.text(f"{one} h2").strip() == "P1" and page.text(f"{one} .lives") == "2 lives"
    assert page.text(f"{one} [data-field=paddle]") == "-1.5" and not page.find(f"{one} .damage").is_displayed()
    assert not page.find(f"{one} meter").is_displayed()
    widths = [float(page.find(f".player.s{p} .pad rect.on").get_attribute("width")) for p in (0, 1)]
    assert widths == [37.5, 0] and page.script("return document.querySelectorAll('.pad .button.on').length") == 1
    assert page.complaints() == []


# --- a page that plays ---

PLAYED = replace(HELLO, pad=GAME.pad)


def held(served: Served, **values: int) -> Callable[[], bool]:
    """Whether the newest that the page said is that these controls are held, and no others."""
    wanted = [values.get(control.name, 0) for control in GAME.controls]
    return lambda: [said["inputs"] for said in served.heard if "inputs" in said][-1:] == [wanted]


def test_keys_are_the_first_players(page: Page, serve: Callable[..., Served]) -> None:
    served = serve(lambda: Pushed(PLAYED))
    page.open(served)
    page.until(held(served))
    assert page.text("#keys").startswith("You are P1. a stick_x")
    press = "document.dispatchEvent(new KeyboardEvent(arguments[0], {key: arguments[1], bubbles: true}))"
    page.script(press, "keydown", "d")
    page.script(press, "keydown", "j")
    page.until(held(served, stick_x=80, A=1))
    page.script(press, "keyup", "j")
    page.until(held(served, stick_x=80))
    page.script(press, "keydown", "a")
    page.until(held(served))  # both ways at once is neither
    page.script("window.dispatchEvent(new Event('blur'))")
    page.script(press, "keydown", "Enter")
    page.until(lambda: {"again": True} in served.heard)


def test_a_gamepad_is_the_first_players(page: Page, serve: Callable[..., Served]) -> None:
    served = serve(lambda: Pushed(PLAYED))
    page.open(served)
    page.until(held(served))
    gamepad = """
    const buttons = Array.from({length: 17}, (_, i) => ({pressed: i === 1}));
    navigator.getGamepads = () => [null, {mapping: "standard", axes: [0.05, -1, 0.5, 0], buttons}];
    """
    page.script(gamepad)
    page.until(held(served, stick_y=80, cstick_x=40, B=1))


def test_a_page_that_watches_says_nothing(page: Page, serve: Callable[..., Served]) -> None:
    served = serve(lambda: Pushed(HELLO))
    page.open(served)
    served.push(message(0))
    page.until(lambda: page.frame == 0)
    page.keys("d", "j")
    assert not served.heard and not page.find("#keys").is_displayed()
