import { describe, expect, it } from 'vitest'
import { applyEvents } from '@/features/executions/model/live'
import { at, endedRun, executionDetail, liveEvent, stageError, stageRun } from '@/test/factories'

const running = executionDetail({
  status: 'running',
  ended_at: null,
  last_seq: 4,
  stages: [endedRun('load', [0, 1]), stageRun('check', { needs: ['load'] }), stageRun('publish')],
})

function check(execution: typeof running) {
  return execution.stages.find(({ stage }) => stage === 'check')
}

describe('applyEvents', () => {
  it('starts and ends a stage without touching the others', () => {
    const { execution, stale } = applyEvents(running, [
      liveEvent('stage_started', { seq: 5, stage: 'check', at: at(1), details: { attempt: 1 } }),
      liveEvent('stage_completed', {
        seq: 6,
        stage: 'check',
        at: at(3),
        details: { status: 'success', rows: 12, duration_seconds: 2 },
      }),
    ])
    expect(check(execution)).toMatchObject({
      status: 'success',
      attempt: 1,
      started_at: at(1),
      ended_at: at(3),
      duration_seconds: 2,
      rows: 12,
    })
    expect(execution.counts).toEqual({ success: 2, pending: 1 })
    expect(execution.last_seq).toBe(6)
    expect(execution.stages[0]).toBe(running.stages[0])
    expect(stale).toBe(false)
  })

  it('forgets why it waited for a place once it has one', () => {
    const waiting = executionDetail({
      status: 'queued',
      ended_at: null,
      last_seq: 1,
      reason: 'waiting for a place: 1/1 run',
    })
    const { execution } = applyEvents(waiting, [liveEvent('execution_admitted', { seq: 2 })])
    expect(execution).toMatchObject({ status: 'queued', reason: null })
  })

  it('keeps the finer status of the payload', () => {
    const event = liveEvent('stage_failed', {
      seq: 5,
      stage: 'check',
      details: { status: 'timed_out', error: stageError({ kind: 'timeout' }) },
    })
    expect(check(applyEvents(running, [event]).execution)?.status).toBe('timed_out')
  })

  it('shows a retry with its error and when it is due', () => {
    const event = liveEvent('stage_retrying', {
      seq: 5,
      stage: 'check',
      details: { attempt: 1, reason: 'next try in 10 s', due_at: at(20), error: stageError() },
    })
    expect(check(applyEvents(running, [event]).execution)).toMatchObject({
      status: 'retrying',
      reason: 'next try in 10 s',
      due_at: at(20),
      error: { code: 'invalid_value' },
    })
  })

  it('ignores events it has seen, of other executions, and log lines', () => {
    const { execution, stale } = applyEvents(running, [
      liveEvent('stage_started', { seq: 4, stage: 'check' }),
      liveEvent('stage_started', { seq: 5, stage: 'check', execution_id: 'other' }),
      liveEvent('log', { seq: 0, stage: 'check' }),
    ])
    expect(execution).toBe(running)
    expect(stale).toBe(false)
  })

  it('shows at once that a stage waits for a decision, and asks for nothing', () => {
    const { execution, stale } = applyEvents(running, [
      liveEvent('stage_waiting', {
        seq: 5,
        stage: 'check',
        details: { status: 'waiting', waits_for: 'approval' },
      }),
      liveEvent('approval_requested', {
        seq: 6,
        stage: 'check',
        details: { status: 'waiting', waits_for: 'approval' },
      }),
    ])
    expect(check(execution)).toMatchObject({ status: 'waiting', waits_for: 'approval' })
    expect(stale).toBe(false)
    const decided = applyEvents(execution, [
      liveEvent('approval_decided', { seq: 7, stage: 'check', details: { status: 'waiting' } }),
      liveEvent('stage_completed', { seq: 8, stage: 'check', details: { status: 'success' } }),
    ])
    expect(check(decided.execution)).toMatchObject({ status: 'success', waits_for: null })
    expect(decided.stale).toBe(false)
  })

  it('pauses, and goes on where it was', () => {
    const paused = applyEvents(running, [
      liveEvent('execution_paused', {
        seq: 5,
        details: { status: 'paused', reason: 'paused by ada@example.com' },
      }),
    ])
    expect(paused.execution).toMatchObject({
      status: 'paused',
      reason: 'paused by ada@example.com',
      ended_at: null,
    })
    expect(paused.stale).toBe(true)
    const resumed = applyEvents(paused.execution, [
      liveEvent('execution_resumed', { seq: 6, details: { status: 'running', reason: 'resumed' } }),
    ])
    expect(resumed.execution).toMatchObject({ status: 'running', reason: null })
  })

  it('asks for the stages that a phase brings, and for those that end late', () => {
    for (const type of ['execution_phase', 'deadline_missed'] as const) {
      expect(applyEvents(running, [liveEvent(type, { seq: 5 })]).stale).toBe(true)
    }
  })

  it('is stale after a hole in the numbers and after a stage run it does not know', () => {
    expect(
      applyEvents(running, [liveEvent('stage_started', { seq: 9, stage: 'check' })]).stale,
    ).toBe(true)
    expect(applyEvents(running, [liveEvent('stage_started', { seq: 5, stage: 'new' })]).stale).toBe(
      true,
    )
  })

  it('counts the items of a foreach stage by its progress, not by their events', () => {
    const { execution, stale } = applyEvents(running, [
      liveEvent('stage_started', { seq: 9, stage: 'check', index: 3 }),
      liveEvent('stage_progress', {
        seq: 0,
        stage: 'check',
        details: { items: { count: 100, left: 60, succeeded: 37, failed: 3 }, through: 90 },
      }),
      liveEvent('stage_started', { seq: 91, stage: 'check' }),
    ])
    expect(stale).toBe(false)
    expect(execution.last_seq).toBe(91)
    expect(execution.stages.find((run) => run.stage === 'check')?.items).toEqual({
      count: 100,
      states: { success: 37, failed: 3, queued: 60 },
    })
  })

  it('ends the execution and asks for what the event does not carry', () => {
    const { execution, stale } = applyEvents(running, [
      liveEvent('execution_failed', {
        seq: 5,
        at: at(5),
        details: { failed_stage: 'check', error: stageError(), duration_seconds: 5 },
      }),
    ])
    expect(execution).toMatchObject({
      status: 'failed',
      ended_at: at(5),
      duration_seconds: 5,
      failed_stage: 'check',
    })
    expect(stale).toBe(true)
  })

  it('forgets the failure when a retry starts', () => {
    const failed = executionDetail({ status: 'failed', failed_stage: 'check', error: stageError() })
    const { execution } = applyEvents(failed, [liveEvent('execution_started', { seq: 1 })])
    expect(execution).toMatchObject({
      status: 'running',
      error: null,
      failed_stage: null,
      ended_at: null,
    })
  })
})
