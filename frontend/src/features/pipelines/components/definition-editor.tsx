import { type ReactNode, useState } from 'react'
import { explain } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { useSaveDraft, useSaveVersion } from '@/features/pipelines/api'
import { DefinitionForm } from '@/features/pipelines/components/definition-form'
import { ApiError } from '@/lib/api'
import { toast } from '@/store/toasts'

/** What stands above the text while it is edited, and may replace it. */
export type Aid = (source: string, onUse: (source: string) => void) => ReactNode

type DefinitionEditorProps = {
  pipelineId: string
  /** The published version, or a draft: saving that makes a draft in its place. */
  edited: { version: number; source: string; state?: string }
  aid?: Aid | undefined
  onDone: () => void
  onDraft: (draft: number) => void
}

/** Changes the text of a version: into the next one that runs, or into a draft. */
export function DefinitionEditor({
  pipelineId,
  edited,
  aid,
  onDone,
  onDraft,
}: DefinitionEditorProps) {
  // What is being edited stays as it was opened, even when a newer version arrives meanwhile.
  const [opened] = useState(edited)
  const [source, setSource] = useState(opened.source)
  const saveVersion = useSaveVersion(pipelineId)
  const saveDraft = useSaveDraft(pipelineId)
  const isDraft = opened.state === 'draft'
  const busy = saveVersion.isPending || saveDraft.isPending
  const refused = saveVersion.error ?? saveDraft.error
  const save = (what: 'version' | 'draft') => {
    saveVersion.reset()
    saveDraft.reset()
    if (what === 'version') {
      saveVersion.mutate(
        { source, basedOn: opened.version },
        {
          onSuccess: ({ version }) => {
            toast('success', `Saved as version ${version}.`)
            onDone()
          },
        },
      )
      return
    }
    saveDraft.mutate(
      { source, ...(isDraft ? { replaces: opened.version } : { basedOn: opened.version }) },
      {
        onSuccess: ({ version }) => {
          toast('success', `Saved as draft ${version}. Nothing runs it yet.`)
          onDone()
          onDraft(version)
        },
      },
    )
  }
  return (
    <>
      {aid?.(source, setSource)}
      <DefinitionForm
        title={`Change of ${isDraft ? 'draft' : 'version'} ${opened.version}`}
        source={source}
        onChange={setSource}
        refusal={refused && advice(refused)}
        actions={(valid) => {
          const disabled = valid !== true || source === opened.source || busy
          return (
            <>
              <Button size="small" variant="ghost" onClick={onDone}>
                Cancel
              </Button>
              <Button
                size="small"
                variant={isDraft ? 'primary' : 'secondary'}
                disabled={disabled}
                onClick={() => save('draft')}
              >
                {saveDraft.isPending ? 'Saving…' : 'Save as draft'}
              </Button>
              {!isDraft && (
                <Button
                  size="small"
                  variant="primary"
                  disabled={disabled}
                  onClick={() => save('version')}
                >
                  <Icon name="tick" className="size-3.5" />
                  {saveVersion.isPending ? 'Saving…' : 'Save version'}
                </Button>
              )}
            </>
          )
        }}
      />
    </>
  )
}

/** Somebody else was faster: the text is still here. */
function advice(error: Error): string {
  const changed = error instanceof ApiError && error.status === 412
  return changed
    ? `${explain(error)} Save yours as a draft, or copy your text and edit the newest version.`
    : explain(error)
}
