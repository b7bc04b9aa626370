import { CopyButton } from '@/components/copy-button'

type CodeBlockProps = { title: string; text: string; lineNumbers?: boolean }

/** Read-only text in the fixed-width face, with a way to copy it. */
export function CodeBlock({ title, text, lineNumbers = false }: CodeBlockProps) {
  const lines = text.replace(/\n$/, '').split('\n')
  return (
    <figure className="overflow-hidden rounded-md border border-border-soft">
      <figcaption className="flex items-center border-b border-border-soft bg-muted py-1 pr-1 pl-3 text-small font-medium">
        {title}
        <span className="ml-auto">
          <CopyButton text={text} />
        </span>
      </figcaption>
      <pre
        tabIndex={0}
        aria-label={title}
        className="mono flex max-h-[min(560px,70dvh)] overflow-auto py-2.5 text-small leading-[1.6] -outline-offset-2"
      >
        {lineNumbers && (
          <span
            aria-hidden="true"
            className="sticky left-0 bg-card pr-3 pl-3 text-right text-muted-foreground select-none"
          >
            {lines.map((_, line) => `${line + 1}\n`).join('')}
          </span>
        )}
        <code className="px-3">{lines.join('\n')}</code>
      </pre>
    </figure>
  )
}
