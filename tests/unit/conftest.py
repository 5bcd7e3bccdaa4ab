"""Pictures with a signed manifest, made with a certificate chain of the test's own."""

from __future__ import annotations

import datetime
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from PIL import Image as PilImage

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
CREATED = {
    "action": "c2pa.created",
    "digitalSourceType": SOURCE_TYPE,
    "softwareAgent": {"name": "Imaginer", "version": "3"},
}
MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


def _name(common: str) -> x509.Name:
    held = ((NameOID.ORGANIZATION_NAME, "Drawn News"), (NameOID.COMMON_NAME, common))
    return x509.Name([x509.NameAttribute(kind, text) for kind, text in held])


def _certificate(
    common: str, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, *, root: bool, asks: str
) -> bytes:
    """By the root, for a key, as PEM; `asks` is where one may ask whether it was revoked."""
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=not root, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=root, crl_sign=root, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    draft = (
        x509.CertificateBuilder()
        .subject_name(_name(common))
        .issuer_name(_name("Root"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=root, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not root:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        draft = draft.add_extension(purpose, critical=False)
    if asks:
        place = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(asks))
        draft = draft.add_extension(x509.AuthorityInformationAccess([place]), critical=False)
    return draft.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True)
class Signer:
    """Signs pictures; `root` is the certificate that those who trust it know."""

    root: str
    chain: str
    key: ec.EllipticCurvePrivateKey

    def sign(
        self,
        pixels: Any,
        *,
        kind: str = "JPEG",
        actions: tuple[dict[str, Any], ...] = (CREATED,),
        ingredient: bytes = b"",
        generator: str = "Drawn generator",
        remote: str = "",
    ) -> bytes:
        """The picture as a file with a manifest; with `remote`, one that only says where its manifest lies."""
        import c2pa

        plain, signed = io.BytesIO(), io.BytesIO()
        PilImage.fromarray(pixels).save(plain, kind)
        claims = {
            "claim_generator_info": [{"name": generator, "version": "2"}],
            "assertions": [{"label": "c2pa.actions", "data": {"actions": list(actions)}}],
        }
        builder = c2pa.Builder.from_json(json.dumps(claims))
        if ingredient:
            builder.add_ingredient(
                '{"title": "part", "relationship": "componentOf"}', "image/jpeg", io.BytesIO(ingredient)
            )
        if remote:
            builder.set_no_embed()
            builder.set_remote_url(remote)
        signer = c2pa.Signer.from_callback(self._signature, c2pa.C2paSigningAlg.ES256, self.chain, None)
        builder.sign(signer, MIME[kind], plain, signed)
        return signed.getvalue()

    def _signature(self, data: bytes) -> bytes:
        """As COSE wants it: the two numbers, 32 bytes each."""
        return b"".join(
            number.to_bytes(32, "big")
            for number in decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        )


@pytest.fixture(scope="session")
def make_signer() -> Callable[..., Signer]:
    """`make_signer(asks="")` → a signer with a new chain of two certificates."""
    pytest.importorskip("c2pa")

    def make(*, asks: str = "") -> Signer:
        root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root = _certificate("Root", root_key, root_key, root=True, asks="")
        leaf = _certificate("Signing desk", key, root_key, root=False, asks=asks)
        return Signer(root=root.decode(), chain=(leaf + root).decode(), key=key)

    return make


@pytest.fixture(scope="session")
def signer(make_signer: Callable[..., Signer]) -> Signer:
    return make_signer()
