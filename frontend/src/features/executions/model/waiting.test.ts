import { expect, it } from 'vitest'
import { waitsForWorker } from '@/features/executions/model/waiting'
import { at, executionDetail, stageRun } from '@/test/factories'

const open = { status: 'running', ended_at: null } as const
const ready = stageRun('train', { status: 'queued', ready_at: at(0) })

it('is asked for anew while a stage is ready and nobody has taken it', () => {
  const taken = stageRun('train', { status: 'running', ready_at: at(0), started_at: at(1) })
  expect(waitsForWorker(executionDetail({ ...open, stages: [ready] }))).toBe(true)
  expect(waitsForWorker(executionDetail({ ...open, stages: [taken, stageRun('last')] }))).toBe(
    false,
  )
})

it('is asked for anew while it says why it does not go on', () => {
  const stages = [stageRun('train', { status: 'running', started_at: at(1) })]
  const why = 'waiting for a worker: none takes stages of pool gpu'
  expect(waitsForWorker(executionDetail({ ...open, stages, reason: why }))).toBe(true)
})

it('is left alone once it has ended', () => {
  expect(waitsForWorker(executionDetail({ status: 'cancelled', stages: [ready] }))).toBe(false)
})
