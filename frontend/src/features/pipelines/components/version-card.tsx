import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { CodeBlock } from '@/components/code-block'
import { DiffBlock } from '@/components/diff-block'
import { ErrorPanel, explain } from '@/components/feedback'
import { Button } from '@/components/ui/button'
import { Card, CardHeader } from '@/components/ui/card'
import { Segmented } from '@/components/ui/segmented'
import { SkeletonRows } from '@/components/ui/skeleton'
import { diffQuery, useSaveDraft, useSaveVersion, versionQuery } from '@/features/pipelines/api'
import { DefinitionEditor } from '@/features/pipelines/components/definition-editor'
import { DraftActions, DraftNote } from '@/features/pipelines/components/draft-actions'
import type { Schemas } from '@/lib/api'
import { useHasRole } from '@/store/session'
import { toast } from '@/store/toasts'

type Pipeline = Schemas['PipelineDetail']
type Version = Schemas['PipelineVersionDetail']

const SHOWN = [
  { value: 'changes', label: 'Changes' },
  { value: 'text', label: 'Text' },
] as const
type Shown = (typeof SHOWN)[number]['value']

type VersionCardProps = {
  pipeline: Pipeline
  version: number
  onChoose: (version: number) => void
}

/** What a version says, what it changes in the one that runs, and what can be done with it. */
export function VersionCard({ pipeline, version, onChoose }: VersionCardProps) {
  const detail = useQuery(versionQuery(pipeline.id, version))
  const [editing, setEditing] = useState(false)
  if (editing && detail.data) {
    return (
      <DefinitionEditor
        pipelineId={pipeline.id}
        edited={detail.data}
        onDone={() => setEditing(false)}
        onDraft={onChoose}
      />
    )
  }
  const name = detail.data?.state === 'draft' ? 'Draft' : 'Version'
  return (
    <Card aria-label="The version">
      <CardHeader title={`${name} ${version}`} />
      {detail.isPending && <SkeletonRows rows={8} label="Loading the version" />}
      {detail.error && (
        <ErrorPanel error={detail.error} what="The version" onRetry={() => void detail.refetch()} />
      )}
      {detail.data && (
        <Loaded
          pipeline={pipeline}
          version={detail.data}
          onEdit={() => setEditing(true)}
          onChoose={onChoose}
        />
      )}
    </Card>
  )
}

type LoadedProps = {
  pipeline: Pipeline
  version: Version
  onEdit: () => void
  onChoose: (version: number) => void
}

function Loaded({ pipeline, version, onEdit, onChoose }: LoadedProps) {
  const runs = version.version === pipeline.version
  const [shown, setShown] = useState<Shown>(version.state === 'published' ? 'text' : 'changes')
  return (
    <div className="flex flex-col gap-3 p-4">
      {version.state !== 'published' && <DraftNote pipeline={pipeline} draft={version} />}
      {!runs && (
        <div className="flex flex-wrap items-center gap-2">
          <Segmented
            label="What is shown"
            options={SHOWN}
            value={shown}
            onChange={setShown}
            className="mr-auto"
          />
          {version.state === 'draft' ? (
            <DraftActions
              pipeline={pipeline}
              draft={version}
              onEdit={onEdit}
              onGone={() => onChoose(pipeline.version)}
            />
          ) : (
            <RestoreButtons pipeline={pipeline} version={version} onChoose={onChoose} />
          )}
        </div>
      )}
      {runs || shown === 'text' ? (
        <CodeBlock
          title={version.source_format === 'yaml' ? 'YAML' : 'JSON'}
          text={version.source}
          lineNumbers
        />
      ) : (
        <Changes pipeline={pipeline} version={version} />
      )}
    </div>
  )
}

/** From the version that runs to this one. */
function Changes({ pipeline, version }: { pipeline: Pipeline; version: Version }) {
  const diff = useQuery(diffQuery(pipeline.id, pipeline.version, version.version))
  if (diff.isPending) return <SkeletonRows rows={4} label="Comparing" />
  if (diff.error) {
    return <ErrorPanel error={diff.error} what="The changes" onRetry={() => void diff.refetch()} />
  }
  return (
    <>
      <p className="text-small text-secondary-foreground">
        Against version {pipeline.version}, which runs now: it {inWords(summary(diff.data))}
      </p>
      {diff.data.text && <DiffBlock diff={diff.data.text} />}
    </>
  )
}

/** "adds load", "changes price and rates" */
function summary({ added, removed, changed, settings }: Schemas['PipelineDiff']): string[] {
  const parts: [string, string[]][] = [
    ['adds', added],
    ['removes', removed],
    ['changes', [...changed.map(({ stage }) => stage), ...settings]],
  ]
  const said = parts
    .filter(([, names]) => names.length > 0)
    .map(([verb, names]) => `${verb} ${inWords(names)}`)
  return said.length > 0 ? said : ['means the same']
}

const NAMED = 4

function inWords(names: string[]): string {
  if (names.length > NAMED) {
    return `${names.slice(0, NAMED).join(', ')} and ${names.length - NAMED} more`
  }
  return [names.slice(0, -1).join(', '), names.at(-1)].filter(Boolean).join(' and ')
}

type RestoreButtonsProps = {
  pipeline: Pipeline
  version: Version
  onChoose: (version: number) => void
}

/** An earlier text, back at once or as a draft. */
function RestoreButtons({ pipeline, version, onChoose }: RestoreButtonsProps) {
  const save = useSaveVersion(pipeline.id)
  const draft = useSaveDraft(pipeline.id)
  const mayEdit = useHasRole('editor')
  if (!mayEdit) return null
  const wanted = { source: version.source, basedOn: pipeline.version }
  const onError = (error: Error) => toast('failed', explain(error))
  const busy = save.isPending || draft.isPending
  return (
    <div className="flex flex-wrap gap-2">
      <Button
        size="small"
        disabled={busy}
        onClick={() =>
          draft.mutate(wanted, {
            onSuccess: ({ version }) => {
              toast('success', `Saved as draft ${version}. Nothing runs it yet.`)
              onChoose(version)
            },
            onError,
          })
        }
      >
        Restore as draft
      </Button>
      <Button
        size="small"
        disabled={busy}
        onClick={() =>
          save.mutate(wanted, {
            onSuccess: (made) => {
              toast('success', `Version ${version.version} is back, as version ${made.version}.`)
              onChoose(made.version)
            },
            onError,
          })
        }
      >
        Restore now
      </Button>
    </div>
  )
}
