import { Option } from 'commander';

/** The flag by which a command is told how to write its answer; the first format is the default. */
export function outputOption(
  formats: readonly string[] = ['text', 'json'],
  what = WRITTEN,
): Option {
  const [usual] = formats;
  return new Option('-o, --output <format>', what).choices(formats).default(usual);
}

const WRITTEN = 'how it is written';
