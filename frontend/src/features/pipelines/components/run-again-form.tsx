import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { explain, InlineError } from '@/components/feedback'
import { Field, Select } from '@/components/ui/field'
import { type Again, rerunPlanQuery } from '@/features/pipelines/api'
import { RunForm } from '@/features/pipelines/components/run-form'
import type { Schemas } from '@/lib/api'

type RunAgainFormProps = {
  pipeline: Schemas['PipelineDetail']
  execution: Schemas['ExecutionDetail']
  only: string | null
}

/** Where to start, what that takes over, and the inputs. */
export function RunAgainForm({ pipeline, execution, only }: RunAgainFormProps) {
  const [from, setFrom] = useState('')
  const [version, setVersion] = useState<number | null>(null)
  const stage = only ?? (from || null)
  const stages = execution.stages.filter((run) => run.index === 0 && run.phase === 'main')
  const again = { executionId: execution.id, stage, alone: only !== null, version }
  return (
    <div className="flex flex-col gap-4">
      {only === null && (
        <Field label="Start" hint="Results of the stages before it are taken over.">
          {(control) => (
            <Select
              {...control}
              className="w-full"
              value={from}
              onChange={(event) => setFrom(event.target.value)}
            >
              <option value="">From the beginning</option>
              {stages.map((run) => (
                <option key={run.stage} value={run.stage}>
                  From {run.name}
                </option>
              ))}
            </Select>
          )}
        </Field>
      )}
      {execution.version !== pipeline.version && (
        <Field label="Version">
          {(control) => (
            <Select
              {...control}
              className="w-full"
              value={version ?? ''}
              onChange={(event) => setVersion(Number(event.target.value) || null)}
            >
              <option value="">The newest, v{pipeline.version}</option>
              <option value={execution.version}>As it was then, v{execution.version}</option>
            </Select>
          )}
        </Field>
      )}
      {stage && <Plan again={again} />}
      <RunForm pipeline={pipeline} given={execution} again={again} />
    </div>
  )
}

function Plan({ again }: { again: Again }) {
  const plan = useQuery(rerunPlanQuery(again))
  if (plan.error) return <InlineError>{explain(plan.error)}</InlineError>
  if (!plan.data) return null
  const { message, to_run: toRun, runs_too: runsToo, notes } = plan.data
  return (
    <div className="rounded-md bg-muted px-3 py-2 text-small">
      <p className="font-medium">{message}</p>
      <p className="mono wrap-text text-muted-foreground">{toRun.join(', ')}</p>
      {runsToo.map(({ stage, reason }) => (
        <p key={stage}>
          <span className="mono">{stage}</span> runs too: {reason}
        </p>
      ))}
      {notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
    </div>
  )
}
