import { describe, expect, it } from 'vitest'
import { applyRunEvents, latestStatus, sortByNeed } from '@/features/pipelines/model'
import { at, liveEvent, pipelineSummary, runBar } from '@/test/factories'

function pipeline(id: string, ...statuses: Parameters<typeof runBar>[0][]) {
  return pipelineSummary({ id, name: id, recent: statuses.map((values) => runBar(values)) })
}

it('sorts what failed before what runs, and that before the rest', () => {
  const sorted = sortByNeed([
    pipeline('never'),
    pipeline('fine', { status: 'failed' }, { status: 'success' }),
    pipeline('running', { status: 'running' }),
    pipeline('failed', { status: 'timed_out', created_at: at(1) }),
    pipeline('failed-later', { status: 'failed', created_at: at(2) }),
  ])
  expect(sorted.map(({ id }) => id)).toEqual(['failed-later', 'failed', 'running', 'fine', 'never'])
})

describe('applyRunEvents', () => {
  const known = [pipeline('orders', { id: 'e1', status: 'running' }), pipeline('other')]

  it('changes the bar of the execution alone', () => {
    const event = liveEvent('execution_failed', { details: { duration_seconds: 9 } })
    const { pipelines, unknown } = applyRunEvents(known, [event])
    expect(pipelines[0]?.recent).toMatchObject([
      { id: 'e1', status: 'failed', duration_seconds: 9 },
    ])
    expect(pipelines[1]).toBe(known[1])
    expect(unknown).toBe(false)
  })

  it('adds a bar for a new execution and keeps twenty', () => {
    const full = pipeline('orders', ...Array.from({ length: 20 }, (_, i) => ({ id: `old${i}` })))
    const event = liveEvent('execution_started', { execution_id: 'new', details: { number: 21 } })
    const { pipelines } = applyRunEvents([full], [event])
    expect(pipelines[0]?.recent).toHaveLength(20)
    expect(pipelines[0]?.recent.at(-1)).toMatchObject({ id: 'new', number: 21, status: 'running' })
    expect(latestStatus(pipelines[0] ?? full)).toBe('running')
  })

  it('wants the list anew for a pipeline or an execution it does not know', () => {
    expect(
      applyRunEvents(known, [liveEvent('execution_started', { pipeline_id: 'new' })]).unknown,
    ).toBe(true)
    expect(
      applyRunEvents(known, [liveEvent('execution_started', { execution_id: 'e2' })]).unknown,
    ).toBe(true)
  })

  it('does not care about stages', () => {
    expect(applyRunEvents(known, [liveEvent('stage_started', { stage: 'load' })]).pipelines).toBe(
      known,
    )
  })
})
