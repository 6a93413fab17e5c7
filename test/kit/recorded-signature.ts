/** Something that a program signed; base64 of DER. */
export interface RecordedSignature {
  readonly kind: 'certificate' | 'list';
  readonly der: string;
  /** SubjectPublicKeyInfo of the key that signed it. */
  readonly signerKey: string;
}

/** The file that a program with the recorder adds what it signs to, a line of JSON each. */
export const RECORDS_ENV = 'BULWARK_TEST_SIGNED';

/** Under this symbol the recorder listens. */
export const RECORDER_HOOK = 'bulwark.test.recorder';
