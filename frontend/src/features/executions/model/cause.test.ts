import { describe, expect, it } from 'vitest'
import { errorAsText, headline, nextFailure, rootCause } from '@/features/executions/model/cause'
import { failedRules } from '@/features/executions/model/check-report'
import { nearestTable } from '@/features/executions/model/inputs'
import { endedRun, stageError } from '@/test/factories'

describe('rootCause', () => {
  it('is the failure that the others follow from, even when it was recorded later', () => {
    const stages = [
      endedRun('load', [0, 1]),
      endedRun('tell', [1, 2], { status: 'failed', needs: ['load', 'check'] }),
      endedRun('check', [1, 3], { status: 'failed', needs: ['load'] }),
    ]
    expect(rootCause(stages)?.stage).toBe('check')
  })

  it('is the first of two that need the same', () => {
    const stages = [
      endedRun('late', [0, 5], { status: 'failed' }),
      endedRun('early', [0, 2], { status: 'timed_out' }),
    ]
    expect(rootCause(stages)?.stage).toBe('early')
    expect(rootCause([endedRun('fine', [0, 1])])).toBeNull()
  })

  it('is a stage, not what failed while it was dealt with', () => {
    const stages = [
      endedRun('load', [0, 1]),
      endedRun('check', [1, 2], { status: 'failed', needs: ['load'] }),
      endedRun('load:compensate', [2, 3], { status: 'failed', phase: 'compensation' }),
      endedRun('tell', [3, 4], { status: 'failed', phase: 'on_failure' }),
    ]
    expect(rootCause(stages)?.stage).toBe('check')
  })
})

it('says what happened in plain words', () => {
  expect(headline(stageError({ location: { row: 7 } }))).toBe('got a row it cannot use')
  expect(headline(stageError({ kind: 'transient', code: 'http_connection' }))).toMatch(/reach/)
  expect(headline(stageError({ kind: 'transient', code: 'command_failed' }))).toBe('failed')
  expect(headline(stageError({ kind: 'timeout' }))).toBe('took longer than its timeout allows')
  expect(headline(stageError({ kind: 'timeout' }), false)).toBe('did not start in time')
})

it('goes from failure to failure, the cause first, and begins again after the last', () => {
  const cause = endedRun('check', [1, 3], { status: 'failed' })
  const after = endedRun('tell', [3, 4], { status: 'timed_out', needs: ['check'] })
  const fine = endedRun('load', [0, 1])
  const stages = [after, fine, cause]
  expect(nextFailure(stages, null)).toBe(cause)
  expect(nextFailure(stages, fine)).toBe(cause)
  expect(nextFailure(stages, cause)).toBe(after)
  expect(nextFailure(stages, after)).toBe(cause)
  expect(nextFailure([fine], fine)).toBeNull()
})

it('copies everything that is known of an error', () => {
  const error = stageError({
    location: { file: 'orders.csv', row: 7, column: 'amount', value: 'N/A' },
    suggestion: 'Set max_invalid.',
  })
  expect(errorAsText('Orders #7', 'check', error)).toBe(
    "Orders #7, stage check\nRow 7: column 'amount' must be a number, not 'N/A'.\n" +
      'file orders.csv, row 7, column amount, value N/A\nSet max_invalid.',
  )
})

describe('nearestTable', () => {
  it('is the closest one upstream that has the row', () => {
    const stages = [
      endedRun('load', [0, 1], { rows: 100 }),
      endedRun('short', [1, 2], {
        needs: ['load'],
        rows: 10,
      }),
      endedRun('check', [2, 3], { needs: ['short'], status: 'failed' }),
    ]
    const [, , check] = stages
    if (!check) throw new Error('missing stage')
    expect(nearestTable(stages, check, 7)?.stage).toBe('short')
    expect(nearestTable(stages, check, 50)?.stage).toBe('load')
    expect(nearestTable(stages, check, 500)).toBeNull()
  })
})

describe('failedRules', () => {
  it('keeps the rules that refused rows, the strictest first', () => {
    const report = [
      { rule: 'type', column: 'amount', failed: 1, samples: [{ row: 7, value: null }] },
      { rule: 'unique', column: 'id', failed: 0, samples: [] },
      { rule: 'min', column: 'amount', failed: 3, samples: [{ row: 2, value: -1 }, 'odd'] },
    ]
    expect(failedRules({ report })).toEqual([
      { rule: 'min', column: 'amount', failed: 3, samples: [{ row: 2, value: '-1' }] },
      { rule: 'type', column: 'amount', failed: 1, samples: [{ row: 7, value: 'null' }] },
    ])
  })

  it('makes nothing of details it does not know', () => {
    expect(failedRules({ report: [{ rule: 1 }, null] })).toEqual([])
    expect(failedRules({ report: 'text' })).toEqual([])
    expect(failedRules(undefined)).toEqual([])
  })
})
