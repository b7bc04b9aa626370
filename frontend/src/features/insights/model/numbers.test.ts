import { expect, it } from 'vitest'
import { describeNumber, wordOfNumber } from '@/features/insights/model/numbers'
import { insight } from '@/test/factories'

it.each([
  ['slow_runs', 'usual', 8100, '2 h 15 m'],
  ['slow_runs', 'spread', 0.034, '3.4%'],
  ['slow_runs', 'runs_before', 60, '60'],
  ['slow_drift', 'before', 0.72, '0.72 s'],
  ['queue_wait', 'now', 184, '3 m 04 s'],
  ['rows_changed', 'usual', 12_345.678, '12,346 rows'],
  ['rows_changed', 'now', 1, '1 row'],
  ['bytes_changed', 'now', 1_500_000, '1.5 MB'],
  ['failure_rate', 'usual', 0.02, '2%'],
  ['failure_rate', 'usual', 0.0001, '< 0.1%'],
  ['failure_rate', 'usual', 0, '0%'],
  ['bad_version', 'failed_before', 1, '1'],
  ['flaky_stage', 'usual', 0.004, '0.4%'],
  ['outage', 'seconds', 7500, '2 h 05 m'],
  ['new_error', 'seen_for', 42, '42.0 s'],
  ['metric', 'expected', 41.37, '41.4'],
  ['metric', 'deviations', 7.512, '7.51 standard deviations'],
  ['metric', 'outside', 0.25, '25%'],
  ['slow_runs', 'of_a_newer_server', 1234.5, '1,235'],
] as const)('of %s the number %s, %d, reads %s', (rule, name, value, text) => {
  expect(describeNumber(insight({ rule }), name, value)).toBe(text)
})

it.each([
  ['connector:shop_api', '12.5%'],
  ['error:3b5d5c37', '0.125 in half an hour'],
])('says of the outage %s what is usual: %s', (subject, text) => {
  expect(describeNumber(insight({ rule: 'outage', subject }), 'usual', 0.125)).toBe(text)
})

it('names a number in words', () => {
  expect(wordOfNumber('runs_before')).toBe('runs before')
  expect(wordOfNumber('seconds')).toBe('lasted')
})
