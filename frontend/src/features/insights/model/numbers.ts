import type { Insight } from '@/features/insights/api'
import { formatNumber, nameOfNumber } from '@/features/insights/model/words'
import { formatBytes, formatDuration, formatPercent } from '@/lib/format'

type Unit = 'bytes' | 'deviations' | 'half-hourly' | 'rows' | 'seconds' | 'share'

const level = (unit: Unit) => ({ usual: unit, now: unit, spread: 'share' }) as const

/** What the numbers of a rule are measured in; those that are not named are counts, and values of a metric. */
const UNITS: Record<Insight['rule'], Partial<Record<string, Unit>>> = {
  slow_runs: level('seconds'),
  slow_drift: { before: 'seconds', now: 'seconds' },
  rows_changed: level('rows'),
  bytes_changed: level('bytes'),
  queue_wait: level('seconds'),
  failure_rate: { usual: 'share' },
  bad_version: {},
  flaky_stage: { usual: 'share' },
  outage: { seconds: 'seconds', usual: 'share' },
  new_error: { seen_for: 'seconds' },
  metric: { deviations: 'deviations', shift: 'deviations', outside: 'share' },
}

/** Where the name does not say it to somebody who reads it beside the number. */
const WORDS: Partial<Record<string, string>> = {
  spread: 'give or take',
  flips: 'failed, then passed',
  recovered: 'passed by a retry',
  events: 'separate times',
  seconds: 'lasted',
  deviations: 'beyond expected',
  shift: 'average moved',
  outside: 'beyond its range',
}

export function wordOfNumber(name: string): string {
  return WORDS[name] ?? nameOfNumber(name)
}

/** A number that an insight is made from, with its unit: of some the rule alone tells what they are. */
export function describeNumber({ rule, subject }: Insight, name: string, value: number): string {
  switch (unitOf(rule, subject, name)) {
    case 'bytes':
      return formatBytes(value)
    case 'deviations':
      return `${formatNumber(value)} standard deviations`
    case 'half-hourly':
      return `${formatNumber(value)} in half an hour`
    case 'rows':
      return `${formatNumber(value)} ${value === 1 ? 'row' : 'rows'}`
    case 'seconds':
      return formatDuration(value)
    case 'share':
      return value > 0 && value < LEAST_SHARE ? '< 0.1%' : formatPercent(value * 100)
    default:
      return formatNumber(value)
  }
}

const LEAST_SHARE = 0.0005

function unitOf(rule: Insight['rule'], subject: string, name: string): Unit | undefined {
  // How often an error comes; a connector fails in a share of its runs.
  if (rule === 'outage' && name === 'usual' && subject.startsWith('error:')) return 'half-hourly'
  return UNITS[rule]?.[name]
}
