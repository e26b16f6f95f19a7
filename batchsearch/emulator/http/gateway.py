"""The way of a request from its parts to its answer, without HTTP: who asks, what for, may it, what comes.

Order of refusals: form of the request, operation, signature and date, nonce, instance, permission, state,
flow control; then the operation's own parameters. So a denied request has cost its sender nothing but the
request, and a request with a bad parameter has cost a slot, as with the real service's documented figures.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from batchsearch.emulator.arguments import Arguments
from batchsearch.emulator.batch.signed_address import check, no_such_file, read_path
from batchsearch.emulator.batch.task_threads import BatchTasks
from batchsearch.emulator.faults import Faults
from batchsearch.emulator.flow import FlowControl, Verdict
from batchsearch.emulator.http.error_table import RefusedError, missing
from batchsearch.emulator.http.protocol import Call, Inbound, read_call
from batchsearch.emulator.http.signatures import AccessKey, NonceStore, Signed, verify
from batchsearch.emulator.http.upload_place import Place, UploadStore
from batchsearch.emulator.operations import OPERATIONS, Context, Operation
from batchsearch.emulator.search.catalogue import Catalogue
from batchsearch.service.facts import MAX_INSTANCE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions

AUTHORIZE: Final = "AuthorizeFileUpload"


@dataclass(frozen=True, slots=True)
class LiveInstance:
    """An instance while the emulator runs."""

    options: InstanceOptions
    catalogue: Catalogue
    flow: FlowControl
    created: float
    tasks: BatchTasks


@dataclass(frozen=True, slots=True)
class Examined:
    """A request whose form and signature are in order."""

    call: Call
    signed: Signed


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may be carried out, or that flow control denied.

    Attributes:
        call: What is asked.
        operation: The operation; None for the authorization of an upload.
        instance: The instance; None as above.
        verdict: What flow control said.
    """

    call: Call
    operation: Operation | None
    instance: LiveInstance | None
    verdict: Verdict


class Gateway:
    """Holds the instances, the keys and everything that is remembered between requests.

    `examine` and `carry_out` may run in any thread; `admit` decides in the order of arrival and belongs to
    one.
    """

    def __init__(
        self,
        options: EmulatorOptions,
        keys: Iterable[AccessKey],
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Open the instances.

        Args:
            options: The set-up.
            keys: Key pairs to accept.
            wall: Clock, seconds since 1970.
        """
        self._wall = wall
        self._offset = options.clock_offset
        self.keys: Mapping[str, AccessKey] = _by_id(keys)
        self.nonces = NonceStore()
        self.uploads = UploadStore()
        self.faults = Faults(options.faults)
        self.place: Place | None = None
        self.address: str | None = None
        self.console: str | None = None
        opened: dict[str, LiveInstance] = {}
        self.instances: Mapping[str, LiveInstance] = MappingProxyType(opened)
        try:
            for instance in options.instances:
                opened[instance.name] = self._open(instance, options)
        except BaseException:
            self.close()
            raise

    def _open(self, instance: InstanceOptions, options: EmulatorOptions) -> LiveInstance:
        # First what may refuse: a catalogue that is open already would stay so.
        flow = FlowControl(instance.all_rates(), instance.counting)
        catalogue = Catalogue(
            name=instance.name,
            service_type=instance.service_type,
            capacity=instance.capacity,
            data=options.data,
            subject=instance.subject,
            predicted_category_limits=instance.predicted_category_limits,
            copies_bytes=options.copies_bytes,
        )
        with ExitStack() as undo:
            undo.callback(catalogue.close)
            buckets = {name: options.open_bucket(place) for name, place in instance.buckets.items()}
            tasks = BatchTasks(instance, catalogue, MappingProxyType(buckets), self.now)
            undo.pop_all()
        return LiveInstance(instance, catalogue, flow, self.now(), tasks)

    def now(self) -> float:
        """The emulator's wall clock, seconds since 1970."""
        return self._wall() + self._offset

    def set_keys(self, keys: Iterable[AccessKey]) -> None:
        """Accept these key pairs from now on, and no others."""
        self.keys = _by_id(keys)

    def examine(self, inbound: Inbound) -> Examined:
        """Check form and signature.

        Raises:
            RefusedError: with the gateway's code.
        """
        call = read_call(inbound)
        if call.action not in OPERATIONS and call.action != AUTHORIZE:
            raise RefusedError("InvalidApi.NotFound")
        return Examined(call, verify(inbound, self.keys, now=self.now()))

    def admit(self, examined: Examined, *, at: float) -> Admitted:
        """Check nonce, instance and permission, and ask flow control.

        Args:
            examined: The request.
            at: When it had come in whole, monotonic seconds.

        Raises:
            RefusedError: with the code for what is wrong.
        """
        call, key = examined.call, examined.signed.key
        if not self.nonces.use(examined.signed, now=self.now()):
            raise RefusedError("SignatureNonceUsed")
        if call.action == AUTHORIZE:
            return Admitted(call, None, None, Verdict(granted=True))
        operation = OPERATIONS[call.action]
        instance = self._instance(call.parameters, operation)
        if key.instances is not None and instance.options.name not in key.instances:
            raise RefusedError(operation.forbidden, extra=_denial(call.action, key))
        _check_available(instance, operation)
        return Admitted(call, operation, instance, instance.flow.judge(operation.budget, at))

    def _instance(self, parameters: Mapping[str, str], operation: Operation) -> LiveInstance:
        name = parameters.get("InstanceName")
        if name is None:
            raise missing("InstanceName")
        if not name:
            raise RefusedError("InvalidInstanceName")
        if len(name) > MAX_INSTANCE_NAME:
            raise RefusedError("InvalidInstance")
        instance = self.instances.get(name)
        if instance is None:
            raise RefusedError(operation.absent)
        return instance

    def carry_out(self, admitted: Admitted, address: str | None = None) -> dict[str, Any]:
        """Do what is asked; returns the answer's fields.

        Args:
            admitted: The request.
            address: Where its sender reaches the emulator, for addresses in the answer.

        Raises:
            RefusedError: with the operation's code.
        """
        if admitted.operation is None or admitted.instance is None:
            if self.place is None:
                raise RefusedError("ServiceUnavailable")
            return self.uploads.authorize(self.place, now=self.now())
        return self._handle(admitted.operation, admitted.instance, admitted.call.parameters, {}, address)

    def hand_over(
        self, action: str, parameters: Mapping[str, str], images: Mapping[str, bytes]
    ) -> dict[str, Any]:
        """Do what is asked from within the process; returns the answer's fields.

        There is no signature to check and no rate to keep: who calls so is who runs the instance.

        Args:
            action: The operation.
            parameters: By the vendor's names, without images.
            images: Files, by the parameters that would hold them.

        Raises:
            RefusedError: with the code that a request would be answered with.
        """
        operation = OPERATIONS.get(action)
        if operation is None:
            raise RefusedError("InvalidApi.NotFound")
        instance = self._instance(parameters, operation)
        _check_available(instance, operation)
        return self._handle(operation, instance, parameters, images, self.address)

    def _handle(
        self,
        operation: Operation,
        instance: LiveInstance,
        parameters: Mapping[str, str],
        images: Mapping[str, bytes],
        address: str | None,
    ) -> dict[str, Any]:
        context = Context(
            arguments=Arguments(parameters, instance.options.longest_id, images),
            instance=instance.options,
            catalogue=instance.catalogue,
            uploads=self.uploads,
            created=instance.created,
            tasks=instance.tasks,
            now=self.now(),
            address=address,
        )
        return operation.handle(context)

    def file(self, path: str, query: Mapping[str, str]) -> bytes:
        """What a signed address leads to.

        Raises:
            UploadRefusedError: It leads nowhere, is wrongly signed, or its time is over.
        """
        name, task, file = read_path(path)
        instance = self.instances.get(name)
        if instance is None:
            raise no_such_file()
        check(path, query, secret=instance.tasks.records.secret, now=self.now())
        content = instance.tasks.content(task, file)
        if content is None:
            raise no_such_file()
        return content

    def close(self) -> None:
        """Stop the batch tasks where they are, and close the catalogues."""
        for instance in self.instances.values():
            instance.tasks.close()
            instance.catalogue.close()


def _check_available(instance: LiveInstance, operation: Operation) -> None:
    if not instance.options.available and operation.unavailable is not None:
        raise RefusedError(operation.unavailable)


def _by_id(keys: Iterable[AccessKey]) -> Mapping[str, AccessKey]:
    return MappingProxyType({key.access_key_id: key for key in keys})


def _denial(action: str, key: AccessKey) -> dict[str, object]:
    detail = {
        "AuthAction": f"imagesearch:{action}",
        "AuthPrincipalDisplayName": key.access_key_id,
        "AuthPrincipalOwnerId": "1000000000000000",
        "AuthPrincipalType": "SubUser",
        "EncodedDiagnosticMessage": "",
        "NoPermissionType": "ImplicitDeny",
        "PolicyType": "AccountLevelIdentityBasedPolicy",
    }
    return {"AccessDeniedDetail": detail}
