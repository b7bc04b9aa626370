import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Field, Select } from '@/components/ui/field'
import { versionQuery, versionsQuery } from '@/features/pipelines/api'
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
  const chosen = useQuery({
    ...versionQuery(pipeline.id, version ?? 0),
    enabled: version !== null,
  })
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
      {(pipeline.version > 1 || pipeline.drafts.length > 0) && (
        <VersionChoice
          pipeline={pipeline}
          then={execution.version}
          version={version}
          onChange={setVersion}
        />
      )}
      <RunForm
        key={chosen.data?.version}
        pipeline={chosen.data ? { ...pipeline, ...asThen(chosen.data) } : pipeline}
        given={execution}
        again={again}
      />
    </div>
  )
}

type VersionChoiceProps = {
  pipeline: Schemas['PipelineDetail']
  /** The one that the execution had. */
  then: number
  version: number | null
  onChange: (version: number | null) => void
}

function VersionChoice({ pipeline, then, version, onChange }: VersionChoiceProps) {
  const listed = useQuery(versionsQuery(pipeline.id)).data?.map((one) => one.version) ?? []
  // It is offered before the list has come, and when it is too old to be in it.
  const earlier = [...new Set([...listed, then])]
    .filter((one) => one !== pipeline.version)
    .toSorted((a, b) => b - a)
  return (
    <Field label="Version">
      {(control) => (
        <Select
          {...control}
          className="w-full"
          value={version ?? ''}
          onChange={(event) => onChange(Number(event.target.value) || null)}
        >
          <option value="">
            The published one, v{pipeline.version}
            {then === pipeline.version && ', as it was then'}
          </option>
          {earlier.map((one) => (
            <option key={one} value={one}>
              {one === then ? `As it was then, v${one}` : `v${one}`}
              {pipeline.drafts.includes(one) && ', a draft'}
            </option>
          ))}
        </Select>
      )}
    </Field>
  )
}

/** What the form asks for is up to the version. */
function asThen({ definition, inputs_schema }: Schemas['PipelineVersionDetail']) {
  return { definition, inputs_schema }
}
