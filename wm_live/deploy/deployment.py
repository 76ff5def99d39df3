"""A deployment planned but not sent: its accounts, transactions, rent, fees and estimated time."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from solders.pubkey import Pubkey

from wm_live.chain.fees import SIGNATURE_FEE
from wm_live.chain.guard import Budget, message_of
from wm_live.chain.upload import PlannedTransaction
from wm_live.chain.urls import is_local
from wm_live.chain.wallet import sol
from wm_live.deploy.rent import WorldRent
from wm_live.deploy.versions import Versions
from wm_live.errors import WmLiveError

#: Transactions a second: measured on a base chain of our own; and what public nodes take of one client.
LOCAL_RATE, PUBLIC_RATE = 250, 4
#: Seconds until one transaction is confirmed.
LOCAL_WAIT, PUBLIC_WAIT = 0.1, 2.0


@dataclass(frozen=True)
class Holding:
    """An account of the deployment. rent: lamports that make it last; there: whether it exists already."""

    name: str
    address: str
    bytes: int
    rent: int
    there: bool


@dataclass(frozen=True)
class Step:
    """Some transactions. lamports: rent that they lock up, negative for rent that comes back."""

    name: str
    jobs: Sequence[PlannedTransaction]
    lamports: int = 0
    in_flight: int = 1
    #: Has to hold before the first is sent.
    check: Callable[[], Awaitable[None]] | None = None
    #: The program can be called, and changed again, only from the next slot on.
    changes_program: bool = False

    @property
    def fees(self) -> int:
        """Lamports for its signatures."""
        return SIGNATURE_FEE * sum(1 + len(job.signers) for job in self.jobs)


@dataclass(frozen=True)
class Deployment:
    """Everything that is left to do, and what it costs.

    reserve     lamports that the payer's own account has to keep
    program     that its transactions call
    versions    of sBPF that the cluster takes new programs in
    version     of sBPF that the program is in
    world_rent  gives the rent of each part of the world, also of what its games will take
    """

    url: str
    payer: str
    balance: int
    reserve: int
    holdings: Sequence[Holding]
    steps: Sequence[Step]
    program: Pubkey
    versions: Versions
    version: str
    world_rent: Callable[[], WorldRent]

    @property
    def transactions(self) -> int:
        """Of all steps."""
        return sum(len(step.jobs) for step in self.steps)

    @property
    def fees(self) -> int:
        """Lamports that are gone for good."""
        return sum(step.fees for step in self.steps)

    @property
    def rent(self) -> int:
        """Lamports that stay locked up in accounts when all is done."""
        return sum(step.lamports for step in self.steps)

    @property
    def needs(self) -> int:
        """Lamports that the payer must have at the start: some come back on the way."""
        spent = most = 0
        for step in self.steps:
            most = max(most, spent + step.fees)
            spent += step.fees + step.lamports
            most = max(most, spent)
        return most + self.reserve if self.steps else 0

    def budget(self) -> Budget:
        """What is announced: lamports that its messages name, and fees, as if each had to be signed twice.

        More than the total: the rent of the buffer, which comes back on the way, counts as well.
        """
        payer = Pubkey.from_string(self.payer)
        return Budget.of((message_of(job.instructions, payer) for s in self.steps for job in s.jobs), {self.program})

    @property
    def seconds(self) -> float:
        """About how long it will take."""
        rate, wait = (LOCAL_RATE, LOCAL_WAIT) if is_local(self.url) else (PUBLIC_RATE, PUBLIC_WAIT)
        return sum(max(len(s.jobs) / rate, wait * -(-len(s.jobs) // s.in_flight)) for s in self.steps)

    def check_balance(self) -> None:
        """WmLiveError if the payer cannot pay for it."""
        if self.balance < self.needs:
            raise WmLiveError(
                f"payer {self.payer}: needs {sol(self.needs)} SOL, has {sol(self.balance)}; next: send it "
                f"{sol(self.needs - self.balance)} SOL, or `wmq fund --sol {-(-self.needs // 10**9)}` "
                "where the cluster gives some"
            )

    def check_version(self) -> None:
        """WmLiveError if the cluster does not take the program, and it is not there yet."""
        if any(step.changes_program for step in self.steps):
            self.versions.check(self.version, self.url)

    def check_limit(self, lamports: int) -> None:
        """WmLiveError if it might take more than so many lamports."""
        most, total = self.budget().at_most, self.fees + self.rent
        if most > lamports:
            raise WmLiveError(
                f"deploying takes {sol(total)} SOL, never more than {sol(most)}, and --max-sol is {sol(lamports)}; "
                f"nothing was sent; next: --max-sol {sol(most).replace(',', '')}, or a smaller world: wmq deploy rent"
            )

    def to_json(self) -> dict[str, Any]:
        """For --json: all amounts in lamports."""
        return {
            "cluster": self.url,
            "sbpf": self.versions.to_json(self.version),
            "payer": self.payer,
            "accounts": [vars(holding) for holding in self.holdings],
            "steps": [
                {"name": s.name, "transactions": len(s.jobs), "fees": s.fees, "rent": s.lamports} for s in self.steps
            ],
            "transactions": self.transactions,
            "fees": self.fees,
            "rent": self.rent,
            "total": self.fees + self.rent,
            "at_most": self.budget().at_most,
            "needs": self.needs,
            "balance": self.balance,
            "seconds": round(self.seconds, 1),
            "world_rent": self.world_rent().to_json(),
        }

    def lines(self) -> list[str]:
        """The same as lines of text, at most 80 characters wide."""
        out = [*self.world_rent().lines(), "", f"cluster {self.url}", f"        {self.versions.line(self.version)}"]
        out += [f"payer   {self.payer}", ""]
        for h in self.holdings:
            state = "there" if h.there else "new"
            out.append(f"{h.name:13} {h.bytes:>10,} bytes        {sol(h.rent):>14} SOL rent   {state}")
            out.append(f"  {h.address}")
        if not self.steps:
            return [*out, "", "nothing to do: all of it is deployed"]
        out.append("")
        for s in self.steps:
            rent = f"   {sol(s.lamports)} rent" if s.lamports else ""
            out.append(f"{s.name:13} {len(s.jobs):>10,} transactions {sol(s.fees):>14} SOL fees{rent}")
        out += ["", f"total {sol(self.fees + self.rent)} SOL: {sol(self.rent)} rent, {sol(self.fees)} fees"]
        out.append(f"{self.transactions:,} transactions, about {self.seconds:,.0f} s")
        out.append(
            f"never more than {sol(self.budget().at_most)} SOL, whatever a node says; some comes back on the way"
        )
        return [*out, f"the payer needs {sol(self.needs)} SOL at the start, and has {sol(self.balance)}"]
